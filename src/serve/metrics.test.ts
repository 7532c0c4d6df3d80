import { expect, test } from "vitest";
import { Histogram } from "./metrics.ts";

const family = { name: "stemma_test", help: "A test." };

test("a quantile lies between the bounds as histogram_quantile of Prometheus places it", () => {
  const times = new Histogram(family, [1, 2, 4]);
  expect([times.count, times.quantile(0.5)]).toEqual([0, null]);
  for (const value of [0.5, 1.5, 1.6, 1.7, 3, 3, 3, 3, 9, 9]) times.observe(value);
  expect(times.count).toBe(10);
  expect(times.quantile(0.05)).toBeCloseTo(0.5, 12); // half of the first interval's one value
  expect(times.quantile(0.1)).toBeCloseTo(1, 12);
  expect(times.quantile(0.25)).toBeCloseTo(1.5, 12); // 1.5 of the 3 values between 1 and 2
  expect(times.quantile(0.6)).toBeCloseTo(3, 12); // 2 of the 4 values between 2 and 4
  expect(times.quantile(0.99)).toBe(4); // above the last bound nothing is known
});
