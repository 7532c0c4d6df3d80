import fc from "fast-check";
import { expect, test } from "vitest";
import { MergeTable } from "./merge-table.ts";
import { mergeWord } from "./merge-word.ts";

/** The definition: the leftmost pair of the lowest rank merges, until none has a rank. */
function mergeNaively(word: readonly number[], merges: readonly (readonly [number, number, number])[]): number[] {
  const ids = [...word];
  for (;;) {
    const ranks = ids.slice(1).map((right, i) => merges.findLastIndex(([a, b]) => a === ids[i] && b === right));
    const known = ranks.filter((rank) => rank >= 0);
    if (known.length === 0) return ids;
    const at = ranks.indexOf(Math.min(...known));
    ids.splice(at, 2, merges[Math.min(...known)]![2]);
  }
}

test("short and long words are merged as the definition says", () => {
  // Ids 0 to 3 are letters; a merge makes any id, one that exists as well, in any order.
  const merge = fc.tuple(fc.nat(9), fc.nat(9), fc.integer({ min: 4, max: 9 }));
  fc.assert(
    fc.property(
      fc.array(merge, { maxLength: 12 }),
      fc.oneof(fc.array(fc.nat(3), { maxLength: 20 }), fc.array(fc.nat(3), { minLength: 94, maxLength: 110 })),
      (merges, word) => {
        const ids = Int32Array.from(word);
        const count = mergeWord(ids, ids.length, new MergeTable(merges));
        expect([...ids.subarray(0, count)]).toEqual(mergeNaively(word, merges));
      },
    ),
    { numRuns: 80 },
  );
});

test("what lies behind the word is not touched", () => {
  const ids = Int32Array.of(1, 2, 1, 2);
  expect(mergeWord(ids, 3, new MergeTable([[1, 2, 5]]))).toBe(2);
  expect([...ids.subarray(0, 2), ids[3]]).toEqual([5, 1, 2]);
});
