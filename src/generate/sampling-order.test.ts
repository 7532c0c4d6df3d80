import fc from "fast-check";
import { expect, test } from "vitest";
import { weightBits } from "../backend/token-choice.ts";
import type { DrawReader } from "../core/random.ts";
import { Random } from "../core/random.ts";
import { SamplingSettings, sampleToken } from "./sampling.ts";

/** The same choice by sorting all tokens, as it is defined: what is kept by falling weight, then by id; drawn by id. */
function sampleSorted(logits: Float32Array, settings: SamplingSettings, reader: DrawReader): number | undefined {
  const { temperature, topK, topP, minP } = settings;
  const peak = logits.reduce((a, b) => Math.max(a, b));
  const scale = 2 ** weightBits(logits.length);
  const all = Array.from(logits, (logit, id) => ({
    id,
    weight: Math.round(Math.exp((logit - peak) / temperature) * scale),
  }));
  const sum = (tokens: typeof all): number => tokens.reduce((total, { weight }) => total + weight, 0);
  const sorted = (tokens: typeof all): typeof all => tokens.toSorted((a, b) => b.weight - a.weight || a.id - b.id);
  const firstReaching = (tokens: typeof all, mass: number): number => {
    let total = 0;
    return tokens.findIndex(({ weight }) => {
      total += weight;
      return total >= mass;
    });
  };
  let kept = all.filter(({ weight }) => weight > 0);
  if (topK > 0 && topK < kept.length) kept = sorted(kept).slice(0, topK);
  if (topP < 1) {
    const needed = topP * sum(kept);
    const end = firstReaching(sorted(kept), needed);
    kept = sorted(kept).slice(0, end < 0 ? kept.length : end + 1);
  }
  kept = kept.filter(({ weight }) => weight >= minP * scale).sort((a, b) => a.id - b.id);
  let left = Math.floor(reader.uniform() * sum(kept));
  for (const { id, weight } of kept) {
    left -= weight;
    if (left < 0) return id;
  }
  return kept.at(-1)?.id;
}

const level = fc.oneof(fc.integer({ min: -4, max: 4 }), fc.float({ min: -60, max: 60, noNaN: true }));
const settings = fc.record({
  temperature: fc.constantFrom(0.3, 1, 7),
  topK: fc.constantFrom(0, 1, 2, 5, 40, 1000),
  topP: fc.constantFrom(1, 0.999, 0.9, 0.5, 0.01),
  minP: fc.constantFrom(0, 0.01, 0.3),
});

test("the token is the one that sorting would give, whatever is equal and however little is asked for", () => {
  const impossible = fc.constant(Number.NEGATIVE_INFINITY);
  const values = fc.array(fc.oneof({ weight: 9, arbitrary: level }, { weight: 1, arbitrary: impossible }), {
    ...{ minLength: 1, maxLength: 120 },
  });
  fc.assert(
    fc.property(values, settings, fc.nat(), (logits, own, seed) => {
      fc.pre(logits.some((value) => value > Number.NEGATIVE_INFINITY));
      const parsed = SamplingSettings.parse(own);
      const row = Float32Array.from(logits);
      const expected = sampleSorted(row, parsed, new Random(seed).reader());
      expect(sampleToken(row.slice(), parsed, new Set(), new Random(seed).reader())).toBe(expected);
    }),
    { numRuns: 2000 },
  );
});

test("a vocabulary of many equal weights gives each of them its turn", () => {
  const row = Float32Array.from({ length: 5000 }, (_, id) => id % 3);
  const parsed = SamplingSettings.parse({ topK: 1700 });
  for (let seed = 0; seed < 20; seed++) {
    const expected = sampleSorted(row, parsed, new Random(seed).reader());
    expect(sampleToken(row.slice(), parsed, new Set(), new Random(seed).reader())).toBe(expected);
  }
});
