import type { PaddedBatch } from "../data/padded-batch.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { PoolingMode } from "./sentence-modules.ts";

/** Texts whose states are pooled. */
export interface PooledTexts extends Pick<PaddedBatch, "batch" | "time" | "lengths"> {
  /** `[batch]`: leading tokens that do not count. */
  readonly skipped: Int32Array;
}

/**
 * The states of a text's tokens as one vector: padding and skipped tokens do not count.
 *
 * Shapes: states `[batch, time, width]` → `[batch, width]`.
 */
export function poolStates(mode: PoolingMode, states: Tensor, batch: PooledTexts): Tensor {
  const { time, lengths } = batch;
  const [rows, width] = [states.axis(0), states.axis(2)];
  if (mode === "cls" || mode === "lasttoken") {
    const places = lengths.map((length, b) => {
      const first = Math.min(batch.skipped[b] ?? 0, length - 1);
      return b * time + (mode === "cls" ? first : length - 1);
    });
    return states.reshape([rows * time, width]).gatherRows(Tensor.from(states.backend, places, [rows]));
  }
  if (mode === "max") {
    const fence = weightsOf(batch, (counts) => (counts ? 0 : -1e30));
    return states.add(Tensor.from(states.backend, fence, [rows, time, 1])).max(1);
  }
  const weights = weightsOf(batch, (counts, place) => (counts ? (mode === "weightedmean" ? place + 1 : 1) : 0));
  const totals = Float32Array.from(lengths, (_, b) => {
    const total = weights.subarray(b * time, (b + 1) * time).reduce((sum, weight) => sum + weight, 0) || 1;
    return mode === "mean_sqrt_len_tokens" ? Math.sqrt(total) : total;
  });
  const sums = states.mul(Tensor.from(states.backend, weights, [rows, time, 1])).sum(1);
  return sums.div(Tensor.from(states.backend, totals, [rows, 1]));
}

/** A number for each token `[batch · time]`: `value` is told whether it counts, and its place in the text. */
function weightsOf(
  { batch, time, lengths, skipped }: PooledTexts,
  value: (counts: boolean, place: number) => number,
): Float32Array {
  return Float32Array.from({ length: batch * time }, (_, at) => {
    const [b, place] = [Math.floor(at / time), at % time];
    return value(place >= (skipped[b] ?? 0) && place < (lengths[b] ?? 0), place);
  });
}
