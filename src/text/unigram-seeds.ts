import type { Steps } from "../core/event-loop.ts";

/** A word of the training text and how often it occurs. */
export interface CountedWord {
  readonly word: string;
  readonly count: number;
}

/** A piece with a weight: how often it occurs, its log-probability and the like. */
export type WeightedPiece = readonly [piece: string, weight: number];

/**
 * Pieces that a unigram model can begin with: every character, then the substrings that take up most of the text, by how
 * often they occur times their length. A substring that is always followed by the same character is left out: the longer
 * one does all that it does. Lengths are in characters (Unicode code points).
 *
 * @param longest - Characters of the longest piece.
 * @param most - Pieces in all, at most.
 */
export function* seeding(words: readonly CountedWord[], longest: number, most: number): Steps<WeightedPiece[]> {
  const texts = words.map(({ word, count }) => ({ word, count, starts: characterStarts(word) }));
  let shorter = yield* countingSubstrings(texts, 1, null);
  const characters = [...shorter].sort(byWeight);
  const substrings: [string, number][] = [];
  for (let length = 2; length <= longest + 1 && shorter.size > 0; length++) {
    const counts = yield* countingSubstrings(texts, length, shorter);
    if (length > 2) {
      for (const [piece, count] of counts) {
        const start = piece.slice(0, -lastWidth(piece));
        if (shorter.get(start) === count) shorter.delete(start);
      }
      for (const [piece, count] of shorter) substrings.push([piece, count * (length - 1)]);
    }
    shorter = new Map([...counts].filter(([, count]) => count >= 2));
  }
  const room = Math.max(0, most - characters.length);
  return [...characters, ...substrings.sort(byWeight).slice(0, room)];
}

/** The heaviest first; of equally heavy ones by their text. */
export function byWeight([a, m]: WeightedPiece, [b, n]: WeightedPiece): number {
  return n - m || (a < b ? -1 : a > b ? 1 : 0);
}

interface IndexedWord extends CountedWord {
  /** Where each character begins, and the end, in UTF-16 units. */
  readonly starts: Int32Array;
}

/** How often the substrings of a length occur; only those whose beginnings and ends `known` has, if it is given. */
function* countingSubstrings(
  words: readonly IndexedWord[],
  length: number,
  known: ReadonlyMap<string, number> | null,
): Steps<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const [at, { word, count, starts }] of words.entries()) {
    if (at % 1024 === 0) yield;
    for (let i = 0; i + length < starts.length; i++) {
      const [start, end] = [starts[i]!, starts[i + length]!];
      if (known && !known.has(word.slice(start, starts[i + length - 1]))) continue;
      if (known && !known.has(word.slice(starts[i + 1], end))) continue;
      const piece = word.slice(start, end);
      counts.set(piece, (counts.get(piece) ?? 0) + count);
    }
  }
  return counts;
}

function characterStarts(word: string): Int32Array {
  const starts = [0];
  for (const character of word) starts.push(starts.at(-1)! + character.length);
  return Int32Array.from(starts);
}

/** UTF-16 units of the last character. */
function lastWidth(piece: string): number {
  return /[\ud800-\udbff][\udc00-\udfff]$/.test(piece) ? 2 : 1;
}
