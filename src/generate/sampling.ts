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
  if (settings.repetitionPenalty !== 1) penalise(logits, settings.repetitionPenalty, seen);
  const best = likeliest(logits);
  if (settings.temperature === 0) return best;
  const weights = relativeWeights(logits, logits[best] ?? 0, settings.temperature);
  const ranked = keepLikely(weights, settings);
  return (ranked ? drawRanked(weights, ranked, reader) : drawInOrder(weights, settings.minP, reader)) ?? best;
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

/** Probabilities as shares of the likeliest token's: exp((logit − peak) / temperature). */
function relativeWeights(logits: Float32Array, peak: number, temperature: number): Float64Array {
  const weights = new Float64Array(logits.length);
  for (let i = 0; i < logits.length; i++) weights[i] = Math.exp(((logits[i] ?? 0) - peak) / temperature);
  return weights;
}

/**
 * The weights that top-k and top-p leave, the largest first, or null where neither takes any away. Tokens are not sorted,
 * only numbers: what is left is a beginning of the weights in falling order, whichever tokens have them. Loops are plain
 * ones, since a callback for each token of a vocabulary costs more than all the rest.
 */
function keepLikely(weights: Float64Array, { topK, topP, minP }: SamplingSettings): Float64Array | null {
  const possible = atLeast(weights, Number.MIN_VALUE);
  const isFew = topK > 0 && topK < possible.length;
  if (!isFew && topP === 1) return null;
  const kept = isFew ? falling(largest(possible, topK)) : possible;
  const ranked = topP < 1 ? nucleus(kept, topP) : kept;
  return minP > 0 ? atLeast(ranked, minP) : ranked;
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
 * The `count` largest of `values`, in no order; changes their order.
 *
 * @see Hoare (1961), "Algorithm 65: find".
 */
function largest(values: Float64Array, count: number): Float64Array {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const [left, right] = partition(values, low, high);
    if (count <= right + 1) high = right;
    else if (count > left) low = left;
    else break; // what lies between is equal, and in its place
  }
  return values.subarray(0, count);
}

/** Brings what is larger than a middle value of a stretch to its front; where the smaller begin and the larger end. */
function partition(values: Float64Array, low: number, high: number): readonly [number, number] {
  const pivot = values[(low + high) >>> 1] ?? 0;
  let [left, right] = [low, high];
  while (left <= right) {
    while ((values[left] ?? 0) > pivot) left++;
    while ((values[right] ?? 0) < pivot) right--;
    if (left > right) break;
    const larger = values[right] ?? 0;
    values[right--] = values[left] ?? 0;
    values[left++] = larger;
  }
  return [left, right];
}

/** Draws among falling weights; of tokens with equal ones, the smaller id counts as the first. Null where there are none. */
function drawRanked(weights: Float64Array, ranked: Float64Array, reader: DrawReader): number | null {
  let left = reader.uniform() * sumOf(ranked);
  let rank = -1;
  while (left >= 0 && rank + 1 < ranked.length) left -= ranked[++rank] ?? 0;
  const weight = ranked[rank];
  if (weight === undefined) return null;
  let token = -1;
  for (let equal = ranked.indexOf(weight); equal <= rank; equal++) token = weights.indexOf(weight, token + 1);
  return token;
}

/** Draws among all tokens that are possible and at least as likely as `minP`, in the order of their ids. */
function drawInOrder(weights: Float64Array, minP: number, reader: DrawReader): number | null {
  const floor = Math.max(minP, Number.MIN_VALUE);
  let left = reader.uniform() * sumOf(atLeast(weights, floor));
  let drawn: number | null = null;
  for (let token = 0; token < weights.length && left >= 0; token++) {
    const weight = weights[token] ?? 0;
    if (weight < floor) continue;
    left -= weight;
    drawn = token;
  }
  return drawn;
}
