import fc from "fast-check";
import { expect, test } from "vitest";
import { documentHash, planSplit } from "./split.ts";

/** Which of some documents are whole in training, whole in validation, or divided. */
function sides(texts: readonly string[], fraction: number, cap?: number, seed = 0): string[] {
  const lengths = texts.map((text) => text.length);
  const split = planSplit({ lengths, hashes: texts.map((text) => documentHash(seed, text)) }, fraction, cap);
  return texts.map((text, i) => (split(i) === 0 ? "validation" : split(i) >= text.length ? "train" : "both"));
}

const many = Array.from({ length: 200 }, (_, i) => `document ${i} `.repeat(10));
const held = (found: readonly string[]): number => found.filter((side) => side === "validation").length;

test("holds out whole documents, about the fraction asked for", () => {
  const found = sides(many, 0.1);
  expect(new Set(found)).toEqual(new Set(["train", "validation"]));
  expect(held(found)).toBeGreaterThanOrEqual(20);
  expect(held(found)).toBeLessThan(23);
});

test("depends on texts and seed only: order and copies change no side", () => {
  const found = sides(many, 0.1);
  expect(sides(many.toReversed(), 0.1).reverse()).toEqual(found);
  const doubled = sides([...many, ...many], 0.1);
  expect(doubled.slice(200)).toEqual(doubled.slice(0, 200));
  expect(sides(many, 0.1, undefined, 1)).not.toEqual(found);
});

test("a document added moves almost none of the others", () => {
  const [before, after] = [sides(many, 0.1), sides([...many, "one more ".repeat(12)], 0.1)];
  expect(before.filter((side, i) => side !== after[i]).length).toBeLessThanOrEqual(1);
});

test("a single document, or a few large ones, give their last tenths", () => {
  expect(planSplit({ lengths: [1000], hashes: [5] }, 0.1)(0)).toBe(900);
  const split = planSplit({ lengths: [1000, 2000], hashes: [5, 6] }, 0.1);
  expect([split(0), split(1)]).toEqual([900, 1800]);
  expect(sides(["a".repeat(50), "b".repeat(50)], 0.1)).toEqual(["both", "both"]);
});

test("ten equal documents give one", () => {
  expect(
    held(
      sides(
        Array.from({ length: 10 }, (_, i) => String(i).repeat(100)),
        0.1,
      ),
    ),
  ).toBe(1);
});

test("a cap limits what is held out, of documents and of a single one", () => {
  expect(held(sides(many, 0.1, 500))).toBeLessThan(8);
  expect(held(sides(many, 0.1, 500))).toBeGreaterThan(2);
  expect(planSplit({ lengths: [100_000], hashes: [5] }, 0.1, 64)(0)).toBe(100_000 - 64);
});

test("a fraction of 0 holds nothing out", () => {
  expect(held(sides(many, 0))).toBe(0);
});

test("validation is never far from the aim, and never everything", () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(lengths, fc.double({ min: 0.01, max: 0.49, noNaN: true }), fc.nat(), (sizes, fraction, seed) => {
      const split = planSplit({ lengths: sizes, hashes: sizes.map((_, i) => documentHash(seed, String(i))) }, fraction);
      const total = sizes.reduce((a, b) => a + b, 0);
      const validation = sizes.reduce((sum, size, i) => sum + Math.max(0, size - split(i)), 0);
      expect(validation).toBeGreaterThanOrEqual((total * fraction) / 2);
      expect(validation).toBeLessThanOrEqual(total * fraction * 1.5 + sizes.length);
    }),
  );
});
