import { SettingsError } from "../../core/errors.ts";
import type { CodePoints } from "./code-points.ts";
import { allCodePoints, codePoints, union, without } from "./code-points.ts";

/** A regular expression as a tree. */
export type Pattern =
  | { readonly kind: "set"; readonly set: CodePoints }
  | { readonly kind: "sequence"; readonly parts: readonly Pattern[] }
  | { readonly kind: "choice"; readonly options: readonly Pattern[] }
  | { readonly kind: "repeat"; readonly of: Pattern; readonly least: number; readonly most: number | null }
  | { readonly kind: "start" }
  | { readonly kind: "end" };

const digits = codePoints([0x30, 0x39]);
const wordCharacters = codePoints([0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]);
const lineEnds = codePoints([0x0a, 0x0a], [0x0d, 0x0d], [0x2028, 0x2029]);
const spaces = codePoints(
  ...([
    [0x09, 0x0d],
    [0x20, 0x20],
    [0xa0, 0xa0],
    [0x1680, 0x1680],
    [0x2000, 0x200a],
    [0x2028, 0x2029],
    [0x202f, 0x202f],
    [0x205f, 0x205f],
    [0x3000, 0x3000],
    [0xfeff, 0xfeff],
  ] as const),
);

const classes: Readonly<Record<string, CodePoints>> = {
  d: digits,
  D: without(allCodePoints, digits),
  w: wordCharacters,
  W: without(allCodePoints, wordCharacters),
  s: spaces,
  S: without(allCodePoints, spaces),
};

const controls: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, "0": 0 };

/** Groups within each other, at most. */
const deepest = 100;

/**
 * Reads a regular expression as JSON Schema has them: JavaScript's, with the flag `u`.
 *
 * @throws {SettingsError} when it is not valid, or has what goes beyond regular languages or classes written out: what
 * looks ahead or behind, refers back, `\b`, `\p{…}`. The message says what, not where the pattern stands.
 */
export function parsePattern(source: string): Pattern {
  try {
    new RegExp(source, "u");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SettingsError(`is not a valid regular expression (${reason}); correct it`, { cause: error });
  }
  return new PatternParser(source).parse();
}

class PatternParser {
  readonly #characters: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#characters = [...source];
  }

  parse(): Pattern {
    return this.#choice();
  }

  #choice(): Pattern {
    if (++this.#depth > deepest) throw new SettingsError(`nests groups more than ${deepest} deep; write it flatter`);
    const options = [this.#sequence()];
    while (this.#take("|")) options.push(this.#sequence());
    this.#depth -= 1;
    return options.length === 1 && options[0] ? options[0] : { kind: "choice", options };
  }

  #sequence(): Pattern {
    const parts: Pattern[] = [];
    for (let next = this.#peek(); next !== undefined && next !== "|" && next !== ")"; next = this.#peek()) {
      parts.push(this.#quantified(this.#atom()));
    }
    return { kind: "sequence", parts };
  }

  #atom(): Pattern {
    const character = this.#next();
    switch (character) {
      case "^":
        return { kind: "start" };
      case "$":
        return { kind: "end" };
      case ".":
        return { kind: "set", set: without(allCodePoints, lineEnds) };
      case "(":
        return this.#group();
      case "[":
        return { kind: "set", set: this.#class() };
      case "\\":
        return { kind: "set", set: this.#escape() };
      default:
        return { kind: "set", set: single(character) };
    }
  }

  #group(): Pattern {
    if (this.#take("?") && !this.#take(":")) {
      const sign = this.#next();
      const isNamed = sign === "<" && this.#peek() !== "=" && this.#peek() !== "!";
      if (!isNamed) throw unsupported(`(?${sign}…)`);
      while (this.#next() !== ">");
    }
    const inner = this.#choice();
    this.#next(); // the closing one, which a valid pattern has
    return inner;
  }

  #quantified(of: Pattern): Pattern {
    const range = this.#quantity();
    if (!range) return of;
    this.#take("?"); // a lazy one means the same texts
    const [least, most] = range;
    return { kind: "repeat", of, least, most };
  }

  #quantity(): readonly [number, number | null] | null {
    if (this.#take("*")) return [0, null];
    if (this.#take("+")) return [1, null];
    if (this.#take("?")) return [0, 1];
    if (!this.#take("{")) return null;
    let text = "";
    for (let next = this.#next(); next !== "}"; next = this.#next()) text += next;
    const [least = "", most] = text.split(",");
    return [Number(least), most === undefined ? Number(least) : most === "" ? null : Number(most)];
  }

  #class(): CodePoints {
    const isNegated = this.#take("^");
    let set: CodePoints = [];
    while (!this.#take("]")) {
      const first = this.#member();
      const isRange = this.#peek() === "-" && this.#characters[this.#at + 1] !== "]";
      if (!isRange) {
        set = union(set, first);
        continue;
      }
      this.#next();
      const last = this.#member();
      set = union(set, codePoints([first[0]?.[0] ?? 0, last.at(-1)?.[1] ?? 0]));
    }
    return isNegated ? without(allCodePoints, set) : set;
  }

  #member(): CodePoints {
    const character = this.#next();
    if (character !== "\\") return single(character);
    if (this.#take("b")) return codePoints([8, 8]);
    if (this.#take("-")) return single("-");
    return this.#escape();
  }

  #escape(): CodePoints {
    const character = this.#next();
    const known = classes[character];
    if (known) return known;
    const control = controls[character];
    if (control !== undefined) return codePoints([control, control]);
    if (character === "x") return this.#point(2);
    if (character === "u") return this.#unicode();
    if (character === "c") return controlOf(this.#next());
    if (/[\^$\\.*+?()[\]{}|/]/.test(character)) return single(character);
    throw unsupported(`\\${character}`);
  }

  #unicode(): CodePoints {
    if (this.#take("{")) {
      let text = "";
      for (let next = this.#next(); next !== "}"; next = this.#next()) text += next;
      return codePoints([Number.parseInt(text, 16), Number.parseInt(text, 16)]);
    }
    const unit = this.#hex(4);
    const isPair = unit >= 0xd800 && unit <= 0xdbff && this.#peek() === "\\" && this.#characters[this.#at + 1] === "u";
    if (!isPair) return codePoints([unit, unit]);
    this.#at += 2;
    const point = (unit - 0xd800) * 0x400 + (this.#hex(4) - 0xdc00) + 0x10000;
    return codePoints([point, point]);
  }

  #point(count: number): CodePoints {
    const point = this.#hex(count);
    return codePoints([point, point]);
  }

  #hex(count: number): number {
    const text = this.#characters.slice(this.#at, this.#at + count).join("");
    this.#at += count;
    return Number.parseInt(text, 16);
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #next(): string {
    return this.#characters[this.#at++] ?? "";
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at += 1;
    return true;
  }
}

function controlOf(letter: string): CodePoints {
  const point = (letter.codePointAt(0) ?? 0) % 32;
  return codePoints([point, point]);
}

function single(character: string): CodePoints {
  const point = character.codePointAt(0) ?? 0;
  return codePoints([point, point]);
}

function unsupported(what: string): SettingsError {
  return new SettingsError(`has ${what}, which is not supported; write it with classes, groups and counts`);
}
