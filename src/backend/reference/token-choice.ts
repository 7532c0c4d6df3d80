import type { View } from "../storage.ts";
import type { ChosenToken, TokenChoice, TokenLogprob } from "../token-choice.ts";
import { floats, rowsOf } from "./storage.ts";
import type { TokenWeights } from "./token-weights.ts";
import { tokenWeights } from "./token-weights.ts";

/** Chooses a token from each row of logits. */
export function chooseTokens(logits: View, choices: readonly TokenChoice[]): ChosenToken[] {
  const [values, [, width]] = [floats(logits), rowsOf(logits)];
  return choices.map((choice, row) =>
    chooseToken(Float32Array.from(values.subarray(row * width, (row + 1) * width)), choice),
  );
}

/**
 * Chooses a token from a row of logits.
 *
 * @see Holtzman et al. (2020), arXiv:1904.09751, for top-p; Keskar et al. (2019), arXiv:1909.05858, section 4.1, for the
 * penalty; Nguyen et al. (2024), arXiv:2407.01082, for min-p.
 */
export function chooseToken(logits: Float32Array, choice: TokenChoice): ChosenToken {
  if (Number.isNaN(logits[0])) return { token: -1, logprob: null, top: [] };
  const token = choice.given ?? choose(changed(logits, choice), choice);
  if (choice.alternatives === null) return { token, logprob: null, top: [] };
  const peak = logits[likeliest(logits)] ?? 0;
  const { sum, scale } = tokenWeights(logits, peak, 1);
  const scored = (id: number): TokenLogprob => ({ token: id, logprob: logprobOf(logits[id] ?? 0, peak, sum / scale) });
  return { ...scored(token), top: likeliestTokens(logits, choice.alternatives).map(scored) };
}

/** log p of a token, in nats, from its logit, the largest, and the sum of all weights as a multiple of that one's. */
export function logprobOf(logit: number, peak: number, sum: number): number {
  return logit - peak - Math.log(sum);
}

/** A copy of the logits on which everything has worked that changes single tokens. */
function changed(logits: Float32Array, choice: TokenChoice): Float32Array {
  const { allowed, bias, lowered, repetitionPenalty } = choice;
  const row = logits.slice();
  if (allowed) {
    for (let id = 0; id < row.length; id++) {
      if (((allowed[id >> 5] ?? 0) & (1 << (id & 31))) === 0) row[id] = Number.NEGATIVE_INFINITY;
    }
  }
  bias.ids.forEach((id, i) => {
    row[id] = (row[id] ?? 0) + (bias.amounts[i] ?? 0);
  });
  if (repetitionPenalty !== 1) {
    for (const id of choice.seen) {
      const logit = row[id] ?? 0;
      row[id] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
    }
  }
  lowered.ids.forEach((id, i) => {
    row[id] = (row[id] ?? 0) - (lowered.amounts[i] ?? 0);
  });
  return row;
}

function choose(logits: Float32Array, choice: TokenChoice): number {
  const best = likeliest(logits);
  if (choice.temperature === 0) return best;
  const all = tokenWeights(logits, logits[best] ?? 0, choice.temperature);
  return draw(all.weights, keepLikely(all, choice), choice.uniform) ?? best;
}

/** Id of the largest logit. */
function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] ?? 0) > (logits[best] ?? 0)) best = i;
  return best;
}

/** The weights that are left: all above `least`, and the first `equal` of those that are just it. */
interface Kept {
  readonly least: number;
  readonly equal: number;
  readonly sum: number;
}

/** What top-k, top-p and min-p leave. */
function keepLikely({ weights, sum, scale }: TokenWeights, { topK, topP, minP }: TokenChoice): Kept {
  const few = topK > 0 && topK < weights.length ? keptOf(largest(weights, topK)) : { least: 1, equal: Infinity, sum };
  const some = topP < 1 ? keptOf(nucleus(weights, few, topP * few.sum)) : few;
  const floor = Math.max(minP * scale, 1); // a weight of 0 is never drawn
  if (some.least >= floor) return some;
  return { least: Math.ceil(floor), equal: Infinity, sum: sumAbove(weights, floor) };
}

/** Bounds of a list of falling weights. */
function keptOf(falling: Float64Array): Kept {
  const least = falling.at(-1) ?? 0;
  return { least, equal: falling.length - falling.indexOf(least), sum: falling.reduce((a, b) => a + b, 0) };
}

/** The fewest of the largest weights that add up to `needed`, falling, among those that are kept so far. */
function nucleus(weights: Float64Array, kept: Kept, needed: number): Float64Array {
  const lowest = Math.max(kept.least, 1);
  // Sorting a vocabulary is slow and a nucleus small, so only weights above a threshold are sorted, lower if they do not do.
  for (let threshold = Math.max(weights.length, lowest); ; threshold = Math.max(Math.floor(threshold / 64), lowest)) {
    const sorted = weights
      .filter((weight) => weight >= threshold)
      .sort()
      .reverse();
    const end = threshold > kept.least ? sorted.length : sorted.indexOf(kept.least) + kept.equal;
    let mass = 0;
    for (let i = 0; i < sorted.length && i < end; i++) {
      mass += sorted[i] ?? 0;
      if (mass >= needed) return sorted.subarray(0, i + 1);
    }
    if (threshold === lowest) return sorted.subarray(0, end);
  }
}

function sumAbove(weights: Float64Array, floor: number): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) if ((weights[i] ?? 0) >= floor) sum += weights[i] ?? 0;
  return sum;
}

/** The first token at which the kept weights add up to more than a share of their sum; null where nothing is kept. */
function draw(weights: Float64Array, { least, equal, sum }: Kept, uniform: number): number | null {
  let left = Math.floor(uniform * sum);
  let equals = equal;
  let last: number | null = null;
  for (let token = 0; token < weights.length && left >= 0; token++) {
    const weight = weights[token] ?? 0;
    if (weight < least || weight === 0 || (weight === least && equals-- <= 0)) continue;
    left -= weight;
    last = token;
  }
  return last;
}

/** The `count` largest of `values`, falling. */
function largest(values: Float64Array, count: number): Float64Array {
  const heap = new Float64Array(count).fill(-1);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (value > (heap[0] ?? 0)) replaceTop(heap, value);
  }
  return heap.sort().reverse();
}

/**
 * Takes the smallest of a heap away for another value.
 *
 * @see Williams (1964), "Algorithm 232: heapsort".
 */
function replaceTop(heap: Float64Array, value: number): void {
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

/** Ids of the `count` largest logits, falling; of equals, the smaller id is the first. */
function likeliestTokens(logits: Float32Array, count: number): number[] {
  const ids: number[] = [];
  const logitOf = (place: number): number => logits[ids[place] ?? 0] ?? 0;
  for (let id = 0; id < logits.length && count > 0; id++) {
    const logit = logits[id] ?? 0;
    let place = ids.length;
    while (place > 0 && logit > logitOf(place - 1)) place--;
    if (place >= count) continue;
    ids.splice(place, 0, id);
    ids.length = Math.min(ids.length, count);
  }
  return ids;
}
