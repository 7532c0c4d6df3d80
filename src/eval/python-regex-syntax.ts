import { UnsupportedError } from "../core/errors.ts";
import { pythonSpace } from "../text/jinja/string-methods.ts";

/** What `\d`, `\w` and `\s` stand for: Unicode's, as Python has them for texts, or ASCII's under `(?a)`. */
const unicodeClasses: Readonly<Record<string, string>> = {
  d: "\\p{Nd}",
  w: "\\p{L}\\p{N}_",
  s: pythonSpace,
};
const asciiClasses: Readonly<Record<string, string>> = { d: "0-9", w: "A-Za-z0-9_", s: "\\t-\\r\\x20" };

const controls: Readonly<Record<string, string>> = { n: "\\n", r: "\\r", t: "\\t", f: "\\f", v: "\\v", a: "\\x07" };

/** A pattern in JavaScript's syntax, to be used with the flags `u` and these. */
export interface TranslatedPattern {
  readonly source: string;
  /** `i`, or nothing. */
  readonly flags: string;
}

/**
 * A regular expression of Python's `re` in JavaScript's syntax, with Python's meaning: `$` before a last line end, `.`
 * and `^` by lines that U+000A ends, `\A` and `\Z`, Unicode's digits and letters, named groups, flags at the beginning.
 *
 * @param where - How messages name it.
 * @throws {UnsupportedError} naming what JavaScript has no way to say.
 */
export function translatePattern(where: string, pattern: string): TranslatedPattern {
  return new Translator(where, pattern).run();
}

/** A single character where it stands for itself. */
function literal(character: string): string {
  return /[\^$\\.*+?()[\]{}|/-]/.test(character) && character !== "-" ? `\\${character}` : character;
}

class Translator {
  readonly #where: string;
  readonly #pattern: string;
  #at = 0;
  #flags = new Set<string>();

  constructor(where: string, pattern: string) {
    this.#where = where;
    this.#pattern = pattern;
  }

  run(): TranslatedPattern {
    const flags = /^\(\?([aiLmsux]+)\)/.exec(this.#pattern);
    if (flags) {
      this.#flags = new Set(flags[1]);
      this.#at = flags[0].length;
    }
    let source = "";
    while (this.#at < this.#pattern.length) source += this.#next();
    return { source, flags: this.#flags.has("i") ? "i" : "" };
  }

  get #classes(): Readonly<Record<string, string>> {
    return this.#flags.has("a") ? asciiClasses : unicodeClasses;
  }

  #take(): string {
    const character = String.fromCodePoint(this.#pattern.codePointAt(this.#at) ?? 0);
    this.#at += character.length;
    return character;
  }

  #unsupported(what: string): UnsupportedError {
    return new UnsupportedError(
      `${this.#where}: ${what} in the regular expression ${JSON.stringify(this.#pattern)} is not supported; write it without`,
    );
  }

  #next(): string {
    const character = this.#take();
    switch (character) {
      case "\\":
        return this.#escape();
      case "[":
        return this.#class();
      case "(":
        return this.#group();
      case "^":
        return this.#flags.has("m") ? "(?<![^\\n])" : "(?<![\\s\\S])";
      case "$":
        return this.#flags.has("m") ? "(?=\\n|(?![\\s\\S]))" : "(?=\\n?(?![\\s\\S]))";
      case ".":
        return this.#flags.has("s") ? "[\\s\\S]" : "[^\\n]";
      case "{":
        return this.#repetition();
      case "*":
      case "+":
      case "?":
        return this.#quantifier(character);
      case "|":
      case ")":
        return character;
      default:
        return this.#plain(character);
    }
  }

  /** Under `(?x)` white space is nothing and `#` begins a comment. */
  #plain(character: string): string {
    if (this.#flags.has("x")) {
      if (/\s/.test(character)) return "";
      if (character === "#") {
        const end = this.#pattern.indexOf("\n", this.#at);
        this.#at = end < 0 ? this.#pattern.length : end;
        return "";
      }
    }
    return literal(character);
  }

  #quantifier(sign: string): string {
    const follower = this.#pattern[this.#at];
    if (follower === "+") throw this.#unsupported("a possessive quantifier");
    if (follower !== "?") return sign;
    this.#at += 1;
    return `${sign}?`;
  }

  /** `{2,3}` and `{,3}`; any other brace is itself. */
  #repetition(): string {
    const found = /^(\d*)(,?)(\d*)\}/.exec(this.#pattern.slice(this.#at, this.#at + 24));
    if (!found || (found[1] === "" && found[2] === "") || `${found[1]}${found[3]}` === "") return "\\{";
    this.#at += found[0].length;
    return this.#quantifier(`{${found[1] === "" ? "0" : found[1]}${found[2]}${found[3]}}`);
  }

  #group(): string {
    if (this.#pattern[this.#at] !== "?") return "(";
    const rest = this.#pattern.slice(this.#at, this.#at + 80);
    const plain = /^\?(?::|=|!|<=|<!)/.exec(rest);
    const named = /^\?P<(\w+)>/.exec(rest);
    const again = /^\?P=(\w+)\)/.exec(rest);
    const comment = /^\?#/.test(rest);
    if (comment) {
      this.#at = this.#pattern.indexOf(")", this.#at) + 1 || this.#pattern.length;
      return "";
    }
    const [found, text] = plain
      ? [plain, `(${plain[0]}`]
      : named
        ? [named, `(?<${named[1]}>`]
        : [again, `(?:\\k<${again?.[1] ?? ""}>)`];
    if (!found) throw this.#unsupported(`the group (${/^\?[^)]{0,3}/.exec(rest)?.[0] ?? "?"}…`);
    this.#at += found[0].length;
    return text;
  }

  #escape(): string {
    const character = this.#take();
    const word = `[${this.#classes.w}]`;
    if ("dws".includes(character)) return `[${this.#classes[character]}]`;
    if ("DWS".includes(character)) return `[^${this.#classes[character.toLowerCase()]}]`;
    if (character === "b") return `(?:(?<=${word})(?!${word})|(?<!${word})(?=${word}))`;
    if (character === "B") return `(?:(?<=${word})(?=${word})|(?<!${word})(?!${word}))`;
    if (character === "A") return "(?<![\\s\\S])";
    if (character === "Z") return "(?![\\s\\S])";
    if (/[1-9]/.test(character)) {
      const more = /^\d?/.exec(this.#pattern.slice(this.#at))?.[0] ?? "";
      this.#at += more.length;
      return `(?:\\${character}${more})`;
    }
    return this.#characterEscape(character);
  }

  /** An escape that is one character, inside and outside of classes. */
  #characterEscape(character: string): string {
    const control = controls[character];
    if (control) return control;
    const digits = { x: 2, u: 4, U: 8 }[character];
    if (digits !== undefined) {
      const code = this.#pattern.slice(this.#at, this.#at + digits);
      this.#at += digits;
      return `\\u{${code.replace(/^0+(?=.)/, "")}}`;
    }
    if (character === "0") {
      const octal = /^[0-7]{0,2}/.exec(this.#pattern.slice(this.#at))?.[0] ?? "";
      this.#at += octal.length;
      return `\\u{${Number.parseInt(`0${octal}`, 8).toString(16)}}`;
    }
    if (/[A-Za-z]/.test(character)) throw this.#unsupported(`the escape \\${character}`);
    return literal(character);
  }

  /** `[…]`. What `\D`, `\W` and `\S` leave out cannot be said beside other characters and becomes an alternative. */
  #class(): string {
    const isNegated = this.#pattern[this.#at] === "^";
    if (isNegated) this.#at += 1;
    const without: string[] = [];
    const inside = this.#classItems(without);
    if (without.length === 0) return `[${isNegated ? "^" : ""}${inside}]`;
    const all = [inside === "" ? "" : `[${inside}]`, ...without.map((set) => `[^${set}]`)].filter(
      (part) => part !== "",
    );
    return isNegated ? `(?:(?!${all.join("|")})[\\s\\S])` : `(?:${all.join("|")})`;
  }

  #classItems(without: string[]): string {
    let inside = "";
    for (let isFirst = true; ; isFirst = false) {
      if (this.#at >= this.#pattern.length) throw this.#unsupported("a class without its ]");
      const character = this.#take();
      if (character === "]" && !isFirst) return inside;
      if (character === "\\") inside += this.#classEscape(without);
      else inside += /[[\]^]/.test(character) ? `\\${character}` : character;
    }
  }

  #classEscape(without: string[]): string {
    const character = this.#take();
    if ("dws".includes(character)) return this.#classes[character] ?? "";
    if ("DWS".includes(character)) {
      without.push(this.#classes[character.toLowerCase()] ?? "");
      return "";
    }
    if (character === "b") return "\\x08";
    if (character === "-") return "\\-";
    const text = this.#characterEscape(character);
    return text.startsWith("\\") || !/[\^\]]/.test(text) ? text : `\\${text}`;
  }
}
