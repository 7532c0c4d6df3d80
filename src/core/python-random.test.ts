import { expect, test } from "vitest";
import { PythonRandom } from "./python-random.ts";

const range = (count: number): number[] => [...new Array(count).keys()];

// Each right side is what CPython's random.Random gives for the same seed, in this order.
test("numbers and choices are Python's", () => {
  const random = new PythonRandom(1234);
  expect([random.random(), random.random()]).toEqual([0.966_453_535_692_138_8, 0.440_732_599_175_352_7]);
  expect(random.sample(range(10), 4)).toEqual([0, 1, 9, 5]);
  expect(random.sample(range(500), 4)).toEqual([354, 42, 50, 392]);
  expect(random.sample(range(100), 7)).toEqual([45, 30, 2, 3, 44, 82, 79]);
  expect(random.sample(range(50), 5)).toEqual([30, 39, 29, 9, 5]);
  expect(random.below(3)).toBe(0);
  expect(random.sample(range(700), 300).slice(-3)).toEqual([636, 334, 9]);
  expect(random.random()).toBe(0.682_751_421_518_992_5);
});

test("seeds beyond 32 bits, and 0", () => {
  expect(new PythonRandom(2 ** 32 + 5).random()).toBe(0.157_272_387_187_897_82);
  expect(new PythonRandom(0).random()).toBe(0.844_421_851_525_048_1);
});
