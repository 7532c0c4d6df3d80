import { expect, test } from "vitest";
import { philox, Random } from "./random.ts";

/** Known-answer vectors published with the Random123 library. */
test.each([
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [-1, -1, -1, -1],
    [-1, -1],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
] as const)("philox of counter %j under key %j", (counter, key, expected) => {
  const out = new Uint32Array(4);
  philox(counter, key, out);
  expect([...out]).toEqual([...expected]);
});

test("a restored generator goes on with the same numbers", () => {
  const random = new Random(7);
  random.normal(5);
  const copy = Random.restore(random.state());
  expect(copy.normal(9)).toEqual(random.normal(9));
});

test("draws, children and seeds are unrelated", () => {
  const random = new Random(1);
  const firsts = [random, random, random.child(0), random.child(1), new Random(2)].map((r) => r.normal(1)[0]);
  expect(new Set(firsts).size).toBe(5);
  expect(random.child(1).normal(1)[0]).toBe(firsts[3]);
});

test("normal numbers have the asked moments", () => {
  const values = new Random(3).normal(40_001, 2);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + b * b, 0) / values.length;
  expect(Math.abs(mean)).toBeLessThan(0.03);
  expect(variance).toBeCloseTo(4, 0);
});

test("a permutation holds every index once", () => {
  const order = new Random(4).permutation(1000);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  expect([...order.subarray(0, 5)]).not.toEqual([0, 1, 2, 3, 4]);
});
