import { JinjaError } from "./values.ts";

/** A piece of a template: text, or one of the signs and words between `{{ }}` or `{% %}`. */
export interface Token {
  readonly kind: "text" | "open" | "close" | "name" | "string" | "integer" | "float" | "operator" | "end";
  /** Of `open` and `close`: `{{` or `{%`, and `}}` or `%}`. */
  readonly text: string;
  readonly line: number;
}

/** Which white space of a template around its tags counts. */
export interface WhiteSpace {
  /** Drops the line end behind a `{% %}`. */
  readonly trimBlocks: boolean;
  /** Drops spaces between the beginning of a line and a `{% %}`. */
  readonly lstripBlocks: boolean;
  /** Keeps the line end at the very end. */
  readonly keepTrailingNewline: boolean;
}

const opening = /\{[{%#]/g;
const rawTag = /\{%[-+]?\s*raw\s*(-?)%\}/y;
const endOfRaw = /\{%([-+]?)\s*endraw\s*([-+]?)%\}/g;
const space = /\s*/y;
const expressionToken =
  /(?<name>[\p{L}_][\p{L}\p{N}_]*)|(?<float>\d[\d_]*(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+))|(?<integer>0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|\d[\d_]*)|(?<string>'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*")|(?<operator>\*\*|\/\/|==|!=|<=|>=|[-+*/%~()[\]{}.,:|=<>])/uy;

/**
 * The tokens of a template, the last of them `end`.
 *
 * @throws {JinjaError} naming the line of what cannot be read.
 */
export function tokenize(source: string, white: WhiteSpace): Token[] {
  const unified = source.replaceAll(/\r\n?/g, "\n");
  return new Lexer(white.keepTrailingNewline ? unified : unified.replace(/\n$/, ""), white).run();
}

class Lexer {
  readonly #source: string;
  readonly #white: WhiteSpace;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  #counted = 0;

  constructor(source: string, white: WhiteSpace) {
    this.#source = source;
    this.#white = white;
  }

  run(): Token[] {
    while (this.#at < this.#source.length) {
      opening.lastIndex = this.#at;
      const found = opening.exec(this.#source);
      if (!found) break;
      this.#readTag(found.index, found[0]);
    }
    this.#text(this.#source.slice(this.#at));
    this.#push("end", "");
    return this.#tokens;
  }

  #readTag(start: number, mark: string): void {
    const sign = this.#source[start + 2] ?? "";
    const before = this.#source.slice(this.#at, start);
    const isBlock = mark !== "{{";
    this.#text(sign === "-" ? before.trimEnd() : this.#withoutIndent(before, isBlock && sign !== "+"));
    this.#at = start;
    if (mark === "{#") this.#comment();
    else if (mark === "{{" || !this.#raw()) {
      this.#push("open", mark);
      this.#at = start + (sign === "-" || (sign === "+" && isBlock) ? 3 : 2);
      this.#expression(mark === "{{" ? "}}" : "%}");
    }
  }

  /** Spaces that a block tag at the beginning of a line takes away. */
  #withoutIndent(before: string, isWanted: boolean): string {
    if (!(isWanted && this.#white.lstripBlocks)) return before;
    const lineStart = before.lastIndexOf("\n") + 1;
    const isAtStart = lineStart > 0 || this.#at === 0 || this.#source[this.#at - 1] === "\n";
    return isAtStart && before.slice(lineStart).trim() === "" ? before.slice(0, lineStart) : before;
  }

  #comment(): void {
    const end = this.#source.indexOf("#}", this.#at);
    if (end < 0) throw this.#error("a comment has no end");
    this.#at = end + 2;
    this.#afterTag(this.#source[end - 1] ?? "");
  }

  /** `{% raw %} … {% endraw %}`, of which all is text. */
  #raw(): boolean {
    rawTag.lastIndex = this.#at;
    const tag = rawTag.exec(this.#source);
    if (!tag) return false;
    this.#at = rawTag.lastIndex;
    this.#afterTag(tag[1] ?? "");
    endOfRaw.lastIndex = this.#at;
    const end = endOfRaw.exec(this.#source);
    if (!end) throw this.#error("{% raw %} has no {% endraw %}");
    const inner = this.#source.slice(this.#at, end.index);
    this.#text(end[1] === "-" ? inner.trimEnd() : this.#withoutIndent(inner, end[1] !== "+"));
    this.#at = endOfRaw.lastIndex;
    this.#afterTag(end[2] ?? "");
    return true;
  }

  /** White space that a tag which is not a variable's takes away behind it. */
  #afterTag(sign: string): void {
    if (sign === "-") this.#skipSpace();
    else if (sign !== "+" && this.#white.trimBlocks && this.#source[this.#at] === "\n") this.#at += 1;
  }

  #skipSpace(): void {
    space.lastIndex = this.#at;
    space.exec(this.#source);
    this.#at = space.lastIndex;
  }

  #expression(close: string): void {
    for (let depth = 0; ; ) {
      this.#skipSpace();
      if (depth === 0 && this.#close(close)) return;
      const text = this.#token(close);
      if (/^[([{]$/.test(text)) depth += 1;
      if (/^[)\]}]$/.test(text)) depth -= 1;
    }
  }

  /** Reads the end of a tag, if it is here, and the white space that it takes away behind it. */
  #close(close: string): boolean {
    const sign = this.#source[this.#at] ?? "";
    const isSign = sign === "-" || (sign === "+" && close === "%}");
    const isSigned = isSign && this.#source.startsWith(close, this.#at + 1);
    if (!(isSigned || this.#source.startsWith(close, this.#at))) return false;
    this.#push("close", close);
    this.#at += close.length + (isSigned ? 1 : 0);
    if (close === "%}") this.#afterTag(isSigned ? sign : "");
    else if (isSigned) this.#skipSpace();
    return true;
  }

  #token(close: string): string {
    expressionToken.lastIndex = this.#at;
    const groups = expressionToken.exec(this.#source)?.groups;
    if (!groups) {
      const rest = this.#source.slice(this.#at, this.#at + 20);
      throw this.#error(rest === "" ? `a tag has no ${close}` : `unexpected ${JSON.stringify(rest)}`);
    }
    const [kind, text = ""] = Object.entries(groups).find(([, value]) => value !== undefined) ?? ["operator", ""];
    this.#push(kind as Token["kind"], text);
    this.#at = expressionToken.lastIndex;
    return kind === "operator" ? text : "";
  }

  #text(text: string): void {
    if (text !== "") this.#push("text", text);
  }

  #push(kind: Token["kind"], text: string): void {
    for (; this.#counted < this.#at; this.#counted++) if (this.#source[this.#counted] === "\n") this.#line += 1;
    this.#tokens.push({ kind, text, line: this.#line });
  }

  #error(what: string): JinjaError {
    this.#push("end", "");
    return new JinjaError(`line ${this.#line}: ${what}`);
  }
}

const simpleEscapes: Readonly<Record<string, string>> = {
  ...{ n: "\n", r: "\r", t: "\t", b: "\b", f: "\f", v: "\v", a: "\u0007" },
  ...{ "\\": "\\", "'": "'", '"': '"', "\n": "" },
};

/** What a string literal says, quotation marks and all, with Python's escapes. */
export function literalText(literal: string): string {
  const escaped = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|([\s\S]))/g;
  return literal.slice(1, -1).replaceAll(escaped, (whole, two, four, eight, octal, other?: string) => {
    if (other !== undefined) return simpleEscapes[other] ?? whole;
    const code = Number.parseInt(octal ?? two ?? four ?? eight, octal === undefined ? 16 : 8);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
