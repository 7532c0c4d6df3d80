import { DataError } from "../core/errors.ts";
import { partitionPoint } from "../core/partition-point.ts";
import { PieceTrie } from "./piece-trie.ts";

/** Characters that Unicode will never give a meaning: no text has a use for them. */
const [firstSeal, lastSeal] = [0xfdd0, 0xfdef];

/** A plain value with all its texts changed; names of fields stay. */
export function withTexts<Value>(value: Value, change: (text: string) => string): Value {
  const of = (part: unknown): unknown => {
    if (typeof part === "string") return change(part);
    if (Array.isArray(part)) return part.map(of);
    if (typeof part !== "object" || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([name, inner]) => [name, of(inner)]));
  };
  return of(value) as Value;
}

/**
 * A character that no text in a plain value has.
 *
 * @throws {DataError} when they have all that could be taken.
 */
export function sealFor(value: unknown): string {
  const texts: string[] = [];
  withTexts(value, (text) => {
    texts.push(text);
    return text;
  });
  for (let code = firstSeal; code <= lastSeal; code++) {
    const seal = String.fromCharCode(code);
    if (!texts.some((text) => text.includes(seal))) return seal;
  }
  throw new DataError("messages: hold every one of the characters U+FDD0 to U+FDEF, which are none; leave them out");
}

/** Breaks tokens where texts spell them. */
export class TokenBreaker {
  readonly #tokens = new PieceTrie();

  constructor(tokens: Iterable<string>) {
    // What is one character cannot be broken.
    for (const token of tokens) if (token.length > firstLength(token)) this.#tokens.add(token, 0);
  }

  /** The text with a seal behind the first character of every token in it. */
  seal(text: string, seal: string): string {
    const pieces: string[] = [];
    let done = 0;
    for (let at = 0; at < text.length; at++) {
      if (!this.#beginsAt(text, at)) continue;
      const behind = at + firstLength(text.slice(at, at + 2));
      pieces.push(text.slice(done, behind));
      done = behind;
    }
    return [...pieces, text.slice(done)].join(seal);
  }

  #beginsAt(text: string, start: number): boolean {
    let node = 0;
    for (let at = start; at < text.length; at++) {
      node = this.#tokens.child(node, text.charCodeAt(at));
      if (node === 0) return false;
      if (this.#tokens.pieceAt(node) >= 0) return true;
    }
    return false;
  }
}

/** UTF-16 units of the first character. */
function firstLength(text: string): number {
  return (text.codePointAt(0) ?? 0) > 0xffff ? 2 : 1;
}

/** A text without its seals. */
export interface OpenedText {
  readonly text: string;
  /** Where they were, in UTF-16 units of `text`. */
  readonly cuts: readonly number[];
  /** Where a place of the sealed text is now. */
  place(sealed: number): number;
}

/** Takes the seals away again. */
export function openSeals(sealed: string, seal: string): OpenedText {
  const pieces = sealed.split(seal);
  const cuts: number[] = [];
  let length = 0;
  for (const piece of pieces.slice(0, -1)) {
    length += piece.length;
    cuts.push(length);
  }
  const place = (at: number): number => at - partitionPoint(cuts.length, (before) => (cuts[before] ?? 0) + before < at);
  return { text: pieces.join(""), cuts, place };
}
