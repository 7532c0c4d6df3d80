import { expect, test } from "vitest";
import { checkRewards } from "./reward-check.ts";
import { rewardCheckPicture } from "./reward-check-picture.ts";
import { rewardCheckLines } from "./reward-check-text.ts";

const rankings = [
  { ranks: [1, 2, 3], scores: [3, 1, 2], lengths: [9, 5, 4] }, // 2 of 3 right; the last two the wrong way round
  { ranks: [2, 1, 2], scores: [0, 1, 0.5], lengths: [3, 4, 5] }, // both right
];

test("agreement by distance, with and without neighbours", () => {
  const check = checkRewards(rankings);
  expect(check.all).toEqual({ pairs: 5, accuracy: 0.8 });
  expect(check.withoutAdjacent).toEqual({ pairs: 1, accuracy: 1 });
  expect(check.byDistance).toEqual([
    { distance: 1, pairs: 4, accuracy: 0.75 },
    { distance: 2, pairs: 1, accuracy: 1 },
  ]);
});

test("margins are all counted, the wrong ones left of 0", () => {
  const { margins } = checkRewards(rankings);
  expect(margins.reduce((sum, { pairs }) => sum + pairs, 0)).toBe(5);
  expect(margins.filter(({ to }) => to <= 0).reduce((sum, { pairs }) => sum + pairs, 0)).toBe(1);
});

test("calibration compares how sure with how often right", () => {
  const sure = (score: number): number => 1 / (1 + Math.exp(-score));
  const { calibration, calibrationError } = checkRewards([{ ranks: [1, 2], scores: [1, 0], lengths: [1, 1] }]);
  expect(calibration).toEqual([{ confidence: sure(1), pairs: 1, accuracy: 1 }]);
  expect(calibrationError).toBeCloseTo(1 - sure(1));
});

test("length is compared among answers to the same prompt only", () => {
  const lovesLength = [
    { ranks: [1, 2], scores: [0, 5], lengths: [10, 20] },
    { ranks: [2, 1], scores: [99, 94], lengths: [3, 1] },
  ];
  const check = checkRewards(lovesLength);
  expect(check.lengthCorrelation).toBeGreaterThan(0.7);
  expect(check.preferredLengthCorrelation).toBeLessThan(-0.7);
  expect(rewardCheckLines(check).at(-1)).toMatch(/no better than chance/);
});

test("it can be read and seen", () => {
  const check = checkRewards(rankings);
  expect(rewardCheckLines(check)[0]).toMatch(/80\.0% of 5 pairs from 2 prompts/);
  expect(rewardCheckLines(check).at(-1)).toMatch(/; but 2 prompts are few: in truth 22 to 98% may be right$/);
  const many = Array.from({ length: 100 }, () => rankings[1] as (typeof rankings)[number]);
  expect(rewardCheckLines(checkRewards(many)).at(-1)).not.toContain("few");
  const picture = rewardCheckPicture(check);
  expect(picture.match(/<svg/g)).toHaveLength(1);
  expect(picture).not.toMatch(/NaN|undefined/);
  for (const label of ["ranks between the two", "pairs", "pairs in the right order", "how sure"]) {
    expect(picture).toContain(`>${label}`);
  }
  expect(picture).toContain('<path d="M716.0 130.0L976.0 40.0" stroke="black" stroke-dasharray="4"/>'); // as sure as right
});
