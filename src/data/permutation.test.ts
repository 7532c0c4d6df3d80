import { expect, test } from "vitest";
import { permuted } from "./permutation.ts";

function order(key: [number, number], count: number): number[] {
  return Array.from({ length: count }, (_, index) => permuted(key, index, count));
}

test("every number comes once, for counts of every kind", () => {
  for (const count of [1, 2, 3, 4, 5, 7, 12, 13, 97, 100, 101, 1000, 4099]) {
    expect(order([3, count], count).sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
  }
});

test("orders of a few numbers are all found, about equally often", () => {
  const keys = 6000;
  const seen = new Map<string, number>();
  for (let key = 0; key < keys; key++) {
    const found = order([key, 0], 4).join("");
    seen.set(found, (seen.get(found) ?? 0) + 1);
  }
  expect(seen.size).toBe(24);
  // χ² with 23 degrees of freedom stays below 49.7 with probability 0.999; keys are fixed, so this is no gamble.
  const expected = keys / 24;
  const distance = [...seen.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  expect(distance).toBeLessThan(49.7);
});

test("neighbours are torn apart, whatever the key", () => {
  const count = 10_000;
  for (const key of [0, 1, 2]) {
    const found = order([key, 0], count);
    const jumps = found.slice(1).map((value, index) => Math.abs(value - found[index]!));
    // Two independent uniform numbers are a third of the range apart on average.
    expect(jumps.reduce((a, b) => a + b, 0) / jumps.length / count).toBeCloseTo(1 / 3, 1);
    expect(jumps.filter((jump) => jump === 1).length).toBeLessThan(15);
  }
});

test("counts far beyond memory work", () => {
  const count = 2 ** 45 + 12_345;
  const found = Array.from({ length: 1000 }, (_, i) => permuted([1, 2], i * 2 ** 35, count));
  expect(new Set(found).size).toBe(1000);
  expect(Math.min(...found)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...found)).toBeLessThan(count);
});
