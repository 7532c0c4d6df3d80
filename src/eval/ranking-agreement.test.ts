import { expect, test } from "vitest";
import { agreementOf, firstShown, kendallTauB, pairAgreement } from "./ranking-agreement.ts";

// τ-b of scipy.stats.kendalltau 1.16; agreed pairs counted by hand and by a loop in Python.
const cases: [a: number[], b: number[], tau: number, agreed: number, pairs: number][] = [
  [[1, 2, 3, 4], [1, 2, 3, 4], 1, 6, 6],
  [[1, 2, 3, 4], [4, 3, 2, 1], -1, 0, 6],
  [[1, 2, 2, 3], [2, 1, 3, 3], 0.4, 4, 6],
  [[1, 1, 2], [1, 2, 2], 0.5, 2, 3],
  [[3, 1, 2, 4, 5], [1, 3, 2, 5, 4], 0.2, 6, 10],
  [[1, 1, 1, 2, 3, 3, 2, 4], [2, 1, 1, 3, 3, 2, 4, 4], 0.5958795715311241, 21.5, 28],
];
test.each(cases)("%j against %j", (a, b, tau, agreed, pairs) => {
  expect(kendallTauB(a, b)).toBeCloseTo(tau, 12);
  expect(kendallTauB(b, a)).toBeCloseTo(tau, 12);
  expect(pairAgreement(a, b)).toEqual({ agreed, pairs });
});

test("a judge who calls all equal has no τ, and half of the pairs", () => {
  expect(kendallTauB([1, 1, 1], [1, 2, 3])).toBeNull();
  expect(pairAgreement([1, 1, 1], [1, 2, 3])).toEqual({ agreed: 1.5, pairs: 3 });
});

test("over many rankings pairs are pooled and τ is averaged", () => {
  const two = [
    [
      [1, 2],
      [2, 1],
    ],
    [
      [1, 2, 3],
      [1, 2, 3],
    ],
  ] as const;
  expect(agreementOf(two)).toEqual({ rankings: 2, pairs: 4, pairwise: 3 / 4, tauB: 0 });
  expect(agreementOf([])).toEqual({ rankings: 0, pairs: 0, pairwise: null, tauB: null });
});

test("how often what was shown first is called best, against chance", () => {
  const rankings = [
    { ranks: [2, 1, 3], shown: [1, 0, 2] }, // shown first and best
    { ranks: [2, 1, 3], shown: [0, 1, 2] }, // shown first, not best
    { ranks: [1, 1], shown: [1, 0] }, // one of two best
    { ranks: [1, 2] }, // nobody knows
  ];
  const { share, expected, ...rest } = firstShown(rankings);
  expect(rest).toEqual({ rankings: 3 });
  expect(share).toBeCloseTo((1 + 0 + 0.5) / 3, 12);
  expect(expected).toBeCloseTo((1 / 3 + 1 / 3 + 1 / 2) / 3, 12);
  expect(firstShown([])).toEqual({ rankings: 0, share: null, expected: null });
});
