import { weightBits } from "../token-choice.ts";

/** ln 2 in two parts, the first with few enough bits that its multiples are exact. */
const ln2High = 0.693145751953125;
const ln2Low = 1.4286068203094173e-6;
/** 2⁰, 2⁻¹, …: to beyond where weights are 0. */
const powers = Float64Array.from({ length: 64 }, (_, i) => 2 ** -i);
/** Beyond this exponent a weight is 0. */
const lowest = -40;

/**
 * exp(x) · 2^`bits` for x ≤ 0, to the nearest whole number. By additions and multiplications alone, in this order, so that
 * every backend has the same bits.
 */
function wholeWeight(x: number, scale: number): number {
  if (!(x >= lowest)) return 0;
  const n = Math.floor(x * Math.LOG2E + 0.5);
  const r = x - n * ln2High - n * ln2Low;
  let series = 1 / 39916800;
  series = series * r + 1 / 3628800;
  series = series * r + 1 / 362880;
  series = series * r + 1 / 40320;
  series = series * r + 1 / 5040;
  series = series * r + 1 / 720;
  series = series * r + 1 / 120;
  series = series * r + 1 / 24;
  series = series * r + 1 / 6;
  series = series * r + 0.5;
  series = series * r + 1;
  series = series * r + 1;
  return Math.floor(series * (powers[-n] ?? 0) * scale + 0.5);
}

/** Weights of a row of logits, and what they add up to. */
export interface TokenWeights {
  /** Whole numbers; the largest is {@link scale}. */
  readonly weights: Float64Array;
  readonly sum: number;
  readonly scale: number;
}

/** exp((logit − peak) / temperature) of each logit as whole numbers. */
export function tokenWeights(logits: Float32Array, peak: number, temperature: number): TokenWeights {
  const scale = 2 ** weightBits(logits.length);
  const weights = new Float64Array(logits.length);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const weight = wholeWeight(((logits[i] ?? 0) - peak) / temperature, scale);
    weights[i] = weight;
    sum += weight;
  }
  return { weights, sum, scale };
}
