import { expect, test } from "vitest";
import { deviation, mean } from "./mean.ts";

test("the mean and the deviation of a sample", () => {
  const values = [2, 4, 4, 4, 5, 5, 7, 9];
  expect(mean(values)).toBe(5);
  expect(deviation(values)).toBeCloseTo(Math.sqrt(32 / 7), 12);
});

test("of one number or none", () => {
  expect([mean([3]), deviation([3]), mean([]), deviation([])]).toEqual([3, 0, 0, 0]);
});
