import fc from "fast-check";
import { expect, test } from "vitest";
import { MergeTable, mergeIds } from "./merge-table.ts";
import { mergeWord } from "./merge-word.ts";
import { mergesOf, ScoredMerges, scoresOf } from "./score-merges.ts";

/** Tokens over two letters, each once, with scores that differ. */
const vocabularies = fc
  .uniqueArray(fc.string({ unit: fc.constantFrom("a", "b", "▁"), minLength: 2, maxLength: 5 }), { maxLength: 25 })
  .map((longer) => ["a", "b", "▁", ...longer]);

test("what is looked up as it is needed is what the list of all merges says", () => {
  fc.assert(
    fc.property(
      vocabularies,
      fc.integer(),
      fc.string({ unit: fc.constantFrom("a", "b", "▁"), maxLength: 120 }),
      (tokens, seed, text) => {
        const ids = new Map(tokens.map((token, id) => [token, id]));
        // Each score once: a permutation of the ids.
        const order = [...tokens.keys()].sort((a, b) => ((a * 7919 + seed) % 101) - ((b * 7919 + seed) % 101) || a - b);
        const scores = Float32Array.from(tokens.keys(), (id) => -order.indexOf(id));
        const word = Int32Array.from(text, (character) => ids.get(character) ?? -1);
        const lazily = word.slice();
        const scored = new ScoredMerges(ids, scores, () => true);
        // The list has an order for pairs that make the same token, where scores leave it to their places.
        const table = new MergeTable(mergeIds("x", ids, mergesOf(ids, scores)));
        const isUnique = tokens.every((token) => countOf(token, ids) < 2);
        const count = mergeWord(lazily, word.length, scored);
        const spelled = [...lazily.subarray(0, count)].map((id) => tokens[id]).join("");
        expect(spelled).toBe(text);
        if (isUnique) {
          const listed = word.slice();
          expect(mergeWord(listed, word.length, table)).toBe(count);
          expect([...listed.subarray(0, count)]).toEqual([...lazily.subarray(0, count)]);
        }
        expect(scored.pairs()).toEqual(mergesOf(ids, scores));
      },
    ),
    { numRuns: 200 },
  );
});

function countOf(token: string, ids: ReadonlyMap<string, number>): number {
  return [...token].filter((_, cut) => ids.has(token.slice(0, cut)) && ids.has(token.slice(cut))).length;
}

test("of equal scores the first in the text merges first, as in SentencePiece", () => {
  const ids = new Map(["a", "b", "ab", "ba"].map((token, id) => [token, id]));
  const merges = new ScoredMerges(ids, Float32Array.of(-9, -9, -1, -1), () => true);
  const merged = (word: readonly number[]): number[] => {
    const found = Int32Array.from(word);
    return [...found.subarray(0, mergeWord(found, found.length, merges))];
  };
  expect(merged([0, 1, 0])).toEqual([2, 0]);
  expect(merged([1, 0, 1])).toEqual([3, 1]);
});

test("a token that is only matched as a whole neither merges nor is merged", () => {
  const ids = new Map(["a", "b", "ab", "abb"].map((token, id) => [token, id]));
  const merges = new ScoredMerges(ids, Float32Array.of(0, 0, -1, -2), (id) => id !== 2);
  expect(merges.find(0, 1)).toBe(-1);
  expect(merges.find(2, 1)).toBe(-1);
  expect(merges.pairs()).toEqual([]);
});

test("only a merge joins words, not any token with a space in it", () => {
  const joins = (...tokens: string[]): boolean => {
    const ids = new Map(tokens.map((token, id) => [token, id]));
    return new ScoredMerges(ids, new Float32Array(tokens.length), () => true).joinsWords;
  };
  expect(joins("a", "▁", "▁a", "▁▁")).toBe(false);
  expect(joins("a", "▁", "a▁")).toBe(true);
  expect(joins("a", "▁", "b▁")).toBe(false);
});

test("scores follow the order of merges", () => {
  const scores = scoresOf(
    ["a", "b", "ab", "aba"],
    [
      ["a", "b"],
      ["ab", "a"],
    ],
  );
  expect([...scores]).toEqual([-2, -2, 0, -1].map((score) => score || -0));
});
