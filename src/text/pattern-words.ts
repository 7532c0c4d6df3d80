import type { PreTokenizer, WordScanner } from "./pre-tokenizer.ts";
import { lastWordBoundary } from "./pre-tokenizer.ts";

/** One step of cutting text: pieces in, smaller pieces out, none empty. */
export type Cutter = (text: string) => string[];

/** How {@link PatternWords} cuts. */
export interface PatternWordsOptions {
  readonly cutters: readonly Cutter[];
  /** Whether a space is put before every piece that does not begin with one. */
  readonly addPrefixSpace: boolean;
  /** Whether no piece has a plain space behind another character, so that text can be cut before a space. */
  readonly spacesBeginWords: boolean;
  /** The `pre_tokenizer` entry that describes all this. */
  readonly json: object;
}

const utf8 = new TextEncoder();

/** Words cut by patterns, one after the other, as the tokenizers of Llama 3, Qwen and GPT-4 do. */
export class PatternWords implements PreTokenizer {
  readonly #options: PatternWordsOptions;

  constructor(options: PatternWordsOptions) {
    this.#options = options;
  }

  scan(text: string, continues = false): WordScanner {
    const { cutters, addPrefixSpace } = this.#options;
    // Half of a surrogate pair is three bytes wherever it stands, but two halves that come together are four.
    const whole = text.replace(/\p{Cs}/gu, "\ufffd");
    const pieces = cutters.reduce((words, cutter) => words.flatMap(cutter), [whole]);
    const isPrefixed = (word: string, i: number): boolean =>
      addPrefixSpace && !word.startsWith(" ") && !(continues && i === 0);
    return new PieceScanner(pieces.map((word, i) => (isPrefixed(word, i) ? ` ${word}` : word)));
  }

  cutPoint(text: string): number {
    return this.#options.spacesBeginWords ? lastWordBoundary(text) : 0;
  }

  toJson(): object {
    return this.#options.json;
  }
}

class PieceScanner implements WordScanner {
  readonly bytes: Uint8Array;
  readonly #pieces: readonly string[];
  #piece = 0;
  start = 0;
  end = 0;

  constructor(pieces: readonly string[]) {
    this.#pieces = pieces;
    this.bytes = utf8.encode(pieces.join(""));
  }

  next(): boolean {
    const piece = this.#pieces[this.#piece++];
    if (piece === undefined) return false;
    this.start = this.end;
    this.end += utf8Length(piece);
    return true;
  }
}

/** Bytes of well-formed text in UTF-8. Half of a surrogate pair counts two. */
function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) length += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return length;
}

/** What a pattern matches, and what lies between matches, as pieces of their own. */
export function isolating(pattern: RegExp): Cutter {
  return (text) => {
    // Most patterns match all there is, and then the list of matches, which is the faster to make, is all.
    const matches: string[] = text.match(pattern) ?? [];
    if (matches.reduce((length, match) => length + match.length, 0) === text.length && !matches.includes(""))
      return matches;
    return withGaps(text, pattern);
  };
}

function withGaps(text: string, pattern: RegExp): string[] {
  const pieces: string[] = [];
  let done = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > done) pieces.push(text.slice(done, match.index));
    if (match[0] !== "") pieces.push(match[0]);
    done = match.index + match[0].length;
  }
  if (done < text.length) pieces.push(text.slice(done));
  return pieces;
}

/** What a pattern matches; text between matches is dropped. */
export function matching(pattern: RegExp): Cutter {
  return (text) => (text.match(pattern) ?? []).filter((piece) => piece !== "");
}

/**
 * A pattern of Oniguruma or Rust as JavaScript has it: Unicode's white space and digits, and letters of both cases where
 * `(?i:…)` asks for them. Null when it uses anything that JavaScript lacks or understands otherwise.
 */
export function compilePattern(source: string): RegExp | null {
  const translated = translatePattern(source);
  try {
    return translated === null ? null : new RegExp(translated, "gu");
  } catch {
    return null;
  }
}

const classEscapes: Readonly<Record<string, string>> = {
  "\\s": "\\p{White_Space}",
  "\\S": "\\P{White_Space}",
  "\\d": "\\p{Nd}",
  "\\D": "\\P{Nd}",
};

/** Where a text begins and ends; outside of classes only. */
const anchors: Readonly<Record<string, string>> = { "\\A": "^", "\\z": "$" };

/** What the two dialects read differently, and a class within `(?i:…)`, whose letters would need their other case. */
const untranslatable = /\\[wWbBG]|&&|\[\^?\]|\(\?i:[^()]*\[|\[(?:\\.|[^\]\\])*\[\^/;

function translatePattern(source: string): string | null {
  if (untranslatable.test(source)) return null;
  const ignoresCase = [false];
  let out = "";
  for (const [part] of source.matchAll(/\\.|\[(?:\\.|\[(?:\\.|[^\]\\])*\]|[^\]\\])*\]|\(\?i:|./gsu)) {
    if (part === "^" || part === "$") return null;
    if (part === ")") ignoresCase.pop();
    if (part.startsWith("(")) ignoresCase.push(part === "(?i:" || ignoresCase.at(-1) === true);
    out += translatePart(part, ignoresCase.at(-1) === true);
  }
  return out;
}

/** Translates an escape, a whole class, the beginning of a group or one character. */
function translatePart(part: string, ignoresCase: boolean): string {
  if (part.startsWith("\\")) return anchors[part] ?? classEscapes[part] ?? part;
  if (part.length > 1 && part.startsWith("[")) {
    // A class within a class is part of it.
    const inside = part
      .slice(1, -1)
      .replace(/\\.|[[\]]/gu, (found) => (found.length > 1 ? (classEscapes[found] ?? found) : ""));
    return `[${inside}]`;
  }
  if (part === "(?i:") return "(?:";
  if (part === ".") return "[^\\n]";
  return ignoresCase ? bothCases(part) : part;
}

/** Upper and lower case of an ASCII letter, with the other characters that Unicode folds to `s` and `k`. */
function bothCases(character: string): string {
  if (!/^[a-z]$/i.test(character)) return character;
  const folded = { s: "ſ", k: "\u212a" }[character.toLowerCase()] ?? "";
  return `[${character.toLowerCase()}${character.toUpperCase()}${folded}]`;
}
