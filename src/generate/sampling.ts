import { z } from "zod";
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
  const candidates = keepLikely(weights, settings);
  let total = 0;
  for (const token of candidates) total += weights[token] ?? 0;
  let left = reader.uniform() * total;
  for (const token of candidates) {
    left -= weights[token] ?? 0;
    if (left < 0) return token;
  }
  return candidates.at(-1) ?? best;
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

/** Tokens that may be sampled. */
function keepLikely(weights: Float64Array, { topK, topP, minP }: SamplingSettings): Uint32Array {
  let kept = above(weights, 0);
  if (topK > 0 && topK < kept.length) kept = likeliestFirst(weights, kept).subarray(0, topK);
  if (topP < 1) kept = nucleus(weights, kept, topP);
  return minP > 0 ? kept.filter((token) => (weights[token] ?? 0) >= minP) : kept;
}

/** The fewest of `tokens` that hold the share `topP` of their weight. */
function nucleus(weights: Float64Array, tokens: Uint32Array, topP: number): Uint32Array {
  const needed = topP * tokens.reduce((sum, token) => sum + (weights[token] ?? 0), 0);
  // Sorting a vocabulary is slow and a nucleus small, so only tokens above a threshold are sorted, lower if they do not do.
  for (let threshold = 1e-2; ; threshold *= threshold > 1e-30 ? 1e-2 : 0) {
    const sorted = likeliestFirst(
      weights,
      tokens.filter((token) => (weights[token] ?? 0) >= threshold),
    );
    let mass = 0;
    const end = sorted.findIndex((token) => {
      mass += weights[token] ?? 0;
      return mass >= needed;
    });
    if (end >= 0) return sorted.subarray(0, end + 1);
    if (threshold === 0) return sorted;
  }
}

function likeliestFirst(weights: Float64Array, tokens: Uint32Array): Uint32Array {
  return tokens.slice().sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b);
}

function above(weights: Float64Array, threshold: number): Uint32Array {
  const kept = new Uint32Array(weights.length);
  let count = 0;
  for (let token = 0; token < weights.length; token++) {
    if ((weights[token] ?? 0) > threshold) kept[count++] = token;
  }
  return kept.subarray(0, count);
}
