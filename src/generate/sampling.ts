import { z } from "zod";
import { parseSettings } from "../core/parse-settings.ts";
import type { DrawReader } from "../core/random.ts";

/** How the next token is chosen from the model's distribution. */
export const SamplingSettings = z.object({
  temperature: z
    .number()
    .min(0)
    .default(1)
    .describe("divides the logits before sampling; 0 always takes the likeliest token"),
  topK: z.int().min(0).default(0).describe("sample among the K likeliest tokens only; 0 is all"),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe("sample among the fewest tokens that hold this share of probability; 1 is all"),
  minP: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("drop tokens less likely than this share of the likeliest; 0 is none"),
  repetitionPenalty: z
    .number()
    .positive()
    .default(1)
    .describe("divides positive logits of tokens seen already, multiplies negative ones; 1 is off"),
});
export type SamplingSettings = z.infer<typeof SamplingSettings>;

/** {@link SamplingSettings} as a caller gives them: what is left out has its default. */
export type SamplingOptions = z.input<typeof SamplingSettings>;

/**
 * Sampling as a caller gives it, checked and complete.
 *
 * @throws {SettingsError} naming what is wrong or unknown.
 */
export function samplingOf(given: SamplingOptions): SamplingSettings {
  return parseSettings("sampling", SamplingSettings, given);
}

/**
 * Chooses the next token from logits, which are changed in place by the repetition penalty. Order as in other tools:
 * penalty, temperature, top-k, top-p, min-p. Ties go to the smaller id.
 *
 * @see Holtzman et al. (2020), arXiv:1904.09751, for top-p; Keskar et al. (2019), arXiv:1909.05858, section 4.1, for the
 * penalty; Nguyen et al. (2024), arXiv:2407.01082, for min-p.
 */
export function sampleToken(
  logits: Float32Array,
  settings: SamplingSettings,
  seen: ReadonlySet<number>,
  reader: DrawReader,
): number {
  const { temperature, minP } = settings;
  if (settings.repetitionPenalty !== 1) penalise(logits, settings.repetitionPenalty, seen);
  const best = likeliest(logits);
  if (temperature === 0) return best;
  const odds: Odds = { logits, peak: logits[best] ?? 0, temperature };
  const ranked = keepLikely(odds, settings);
  return (ranked ? drawRanked(odds, ranked, reader) : drawInOrder(odds, minP, reader)) ?? best;
}

/** Logits, and how they become weights: probabilities as shares of the likeliest token's. */
interface Odds {
  readonly logits: Float32Array;
  /** The largest of them. */
  readonly peak: number;
  readonly temperature: number;
}

function weightOf(logit: number, { peak, temperature }: Odds): number {
  return Math.exp((logit - peak) / temperature);
}

/** Id of the largest logit. */
function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] ?? 0) > (logits[best] ?? 0)) best = i;
  return best;
}

function penalise(logits: Float32Array, penalty: number, seen: ReadonlySet<number>): void {
  for (const token of seen) {
    const logit = logits[token] ?? 0;
    logits[token] = logit > 0 ? logit / penalty : logit * penalty;
  }
}

/**
 * The weights that top-k and top-p leave, the largest first, or null where neither takes any away. Tokens are not sorted,
 * only numbers: what is left is a beginning of the weights in falling order, whichever tokens have them. Loops are plain
 * ones, since a callback for each token of a vocabulary costs more than all the rest.
 */
function keepLikely(odds: Odds, { topK, topP, minP }: SamplingSettings): Float64Array | null {
  const few = topK > 0 && topK < odds.logits.length ? largestWeights(odds, topK) : null;
  if (!few && topP === 1) return null;
  const kept = few ?? possibleWeights(odds);
  const ranked = topP < 1 ? nucleus(kept, topP) : kept;
  return minP > 0 ? atLeast(ranked, minP) : ranked;
}

/** The `count` largest weights, falling; null where no more than these are possible. Only theirs are computed. */
function largestWeights(odds: Odds, count: number): Float64Array | null {
  const logits = largest(odds.logits, count + 1); // one more says whether any is left out
  const weights = falling(Float64Array.from(logits, (logit) => weightOf(logit, odds)));
  return (weights[count] ?? 0) > 0 ? weights.subarray(0, count) : null;
}

/** All weights above 0, in the order of their tokens. */
function possibleWeights(odds: Odds): Float64Array {
  const weights = new Float64Array(odds.logits.length);
  let count = 0;
  for (let i = 0; i < odds.logits.length; i++) {
    const weight = weightOf(odds.logits[i] ?? 0, odds);
    if (weight > 0) weights[count++] = weight;
  }
  return weights.subarray(0, count);
}

/** The fewest weights that hold the share `topP` of all, falling. */
function nucleus(weights: Float64Array, topP: number): Float64Array {
  const needed = topP * sumOf(weights);
  // Sorting a vocabulary is slow and a nucleus small, so only weights above a threshold are sorted, lower if they do not do.
  for (let threshold = 1e-2; ; threshold *= threshold > 1e-30 ? 1e-2 : 0) {
    const sorted = falling(atLeast(weights, threshold));
    let mass = 0;
    for (let i = 0; i < sorted.length; i++) {
      mass += sorted[i] ?? 0;
      if (mass >= needed) return sorted.subarray(0, i + 1);
    }
    if (threshold === 0) return sorted;
  }
}

/** Those of `values` that are no smaller than `threshold`, in their order. */
function atLeast(values: Float64Array, threshold: number): Float64Array {
  const kept = new Float64Array(values.length);
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (value >= threshold) kept[count++] = value;
  }
  return kept.subarray(0, count);
}

function sumOf(values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] ?? 0;
  return sum;
}

/** Sorts numbers in place, the largest first. */
function falling(values: Float64Array): Float64Array {
  return values.sort().reverse();
}

/**
 * The `count` largest of `values` in no order, with −∞ in the place of what is missing. They are a heap whose smallest is
 * on top while the rest goes by.
 *
 * @see Williams (1964), "Algorithm 232: heapsort".
 */
function largest(values: Float32Array, count: number): Float32Array {
  const heap = new Float32Array(count).fill(Number.NEGATIVE_INFINITY);
  let smallest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (!(value > smallest)) continue;
    replaceTop(heap, value);
    smallest = heap[0] ?? 0;
  }
  return heap;
}

function replaceTop(heap: Float32Array, value: number): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child++;
    const smaller = heap[child] ?? 0;
    if (smaller >= value) break;
    heap[at] = smaller;
    at = child;
  }
  heap[at] = value;
}

/** Draws among falling weights; of tokens with equal ones, the smaller id counts as the first. Null where there are none. */
function drawRanked(odds: Odds, ranked: Float64Array, reader: DrawReader): number | null {
  let left = reader.uniform() * sumOf(ranked);
  let rank = -1;
  while (left >= 0 && rank + 1 < ranked.length) left -= ranked[++rank] ?? 0;
  const weight = ranked[rank];
  return weight === undefined ? null : tokenOfWeight(odds, weight, rank - ranked.indexOf(weight));
}

/** The token of a weight before which `before` others have the same. */
function tokenOfWeight(odds: Odds, weight: number, before: number): number | null {
  const { logits, peak, temperature } = odds;
  const exponent = Math.log(weight);
  // Exponents of equal weights are this near, and an exponential is slow; the smallest weights are few and far between.
  const near = exponent < -700 ? 1 : 1e-6;
  let left = before;
  let equal = Number.NaN; // a logit that has this weight
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] ?? 0;
    if (logit !== equal) {
      if (!(Math.abs((logit - peak) / temperature - exponent) < near) || weightOf(logit, odds) !== weight) continue;
      equal = logit;
    }
    if (left-- === 0) return token;
  }
  return null;
}

/** Draws among all tokens that are possible and at least as likely as `minP`, in the order of their ids. */
function drawInOrder(odds: Odds, minP: number, reader: DrawReader): number | null {
  const { logits } = odds;
  const floor = Math.max(minP, Number.MIN_VALUE);
  const weights = new Float64Array(logits.length); // 0 where it is below the floor
  let sum = 0;
  for (let token = 0; token < weights.length; token++) {
    const weight = weightOf(logits[token] ?? 0, odds);
    if (weight < floor) continue;
    weights[token] = weight;
    sum += weight;
  }
  let left = reader.uniform() * sum;
  let drawn: number | null = null;
  for (let token = 0; token < weights.length && left >= 0; token++) {
    const weight = weights[token] ?? 0;
    if (weight === 0) continue;
    left -= weight;
    drawn = token;
  }
  return drawn;
}
