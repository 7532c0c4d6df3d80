import { expect, test } from "vitest";
import { Random } from "../core/random.ts";
import { SamplingSettings, sampleToken } from "./sampling.ts";

/** Share of each token among many samples. */
function shares(logits: number[], settings: Partial<SamplingSettings>, seen: number[] = []): number[] {
  const reader = new Random(1).reader();
  const counts = logits.map(() => 0);
  const sampling = SamplingSettings.parse(settings);
  const trials = 20_000;
  for (let i = 0; i < trials; i++) {
    const token = sampleToken(Float32Array.from(logits), sampling, new Set(seen), reader);
    counts[token] = (counts[token] ?? 0) + 1 / trials;
  }
  return counts;
}

const close = (values: number[]): unknown[] => values.map((value) => expect.closeTo(value, 1.5));
const log = Math.log;

test("temperature 0 takes the likeliest, the smaller id of equals", () => {
  expect(shares([1, 3, 3, 2], { temperature: 0 })).toEqual([0, expect.closeTo(1), 0, 0]);
});

test("temperature 1 samples the model's distribution, higher ones flatten it", () => {
  expect(shares([log(0.6), log(0.3), log(0.1)], {})).toEqual(close([0.6, 0.3, 0.1]));
  const flat = [0.6, 0.3, 0.1].map(Math.sqrt);
  const total = flat.reduce((a, b) => a + b);
  expect(shares([log(0.6), log(0.3), log(0.1)], { temperature: 2 })).toEqual(close(flat.map((p) => p / total)));
});

test("top-k keeps the K likeliest", () => {
  expect(shares([log(0.1), log(0.6), log(0.3)], { topK: 2 })).toEqual(close([0, 2 / 3, 1 / 3]));
});

test("top-p keeps the fewest tokens that hold the share, the one that crosses it included", () => {
  expect(shares([log(0.5), log(0.3), log(0.2)], { topP: 0.6 })).toEqual(close([0.625, 0.375, 0]));
  expect(shares([log(0.5), log(0.3), log(0.2)], { topP: 0.4 })).toEqual([expect.closeTo(1), 0, 0]);
});

test("top-p finds a nucleus of many small shares", () => {
  const logits = Array.from({ length: 100 }, (_, i) => (i === 0 ? 5 : 0)); // 0.9 (e⁵ + 99) is e⁵ + 74.3
  expect(shares(logits, { topP: 0.9 }).filter((share) => share > 0).length).toBe(76);
});

test("min-p drops what is far from the likeliest", () => {
  expect(shares([log(0.8), log(0.15), log(0.05)], { minP: 0.1 })).toEqual(close([0.8421, 0.1579, 0]));
});

test("the repetition penalty lowers seen tokens, whatever the sign of their logit", () => {
  const [first = 0] = shares([1, 1], { repetitionPenalty: 2 }, [0]);
  expect(first).toBeCloseTo(1 / (1 + Math.exp(0.5)), 1.5);
  const [negative = 0] = shares([-1, -1], { repetitionPenalty: 2 }, [0]);
  expect(negative).toBeCloseTo(1 / (1 + Math.exp(1)), 1.5);
});
