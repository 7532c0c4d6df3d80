import { LowRank } from "../nn/low-rank.ts";
import { Parameter } from "../nn/parameters.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** scale · B · A of some rows of a matrix, as values. */
export interface RowChange {
  /** `[rank, in]` */
  readonly a: Float32Array;
  /** `[rows, rank]` */
  readonly b: Float32Array;
  readonly rank: number;
  readonly scale: number;
  /** Row of the matrix at which the change begins. */
  readonly firstRow: number;
}

/**
 * The sum of a change of a matrix and one more of some of its rows, frozen. Changes that share A, as those of queries, keys
 * and values may, share its rows in the sum: rank grows by what is new.
 *
 * @param before - Null for none; its memory is given back.
 */
export async function sumOfChanges(before: LowRank | null, weight: Tensor, change: RowChange): Promise<LowRank> {
  const [outputs, inputs] = [weight.axis(0), weight.axis(1)];
  const old = { a: (await before?.a.floats()) ?? new Float32Array(0), rank: before?.a.axis(0) ?? 0 };
  const oldB = (await before?.b.floats()) ?? new Float32Array(0);
  const shared = rowsAt(old.a, change.a, inputs);
  const at = shared ?? old.rank;
  const rank = shared === null ? old.rank + change.rank : old.rank;
  const b = new Float32Array(outputs * rank);
  for (let row = 0; row < outputs; row++) {
    for (let i = 0; i < old.rank; i++) b[row * rank + i] = (before?.scale ?? 1) * (oldB[row * old.rank + i] ?? 0);
  }
  change.b.forEach((value, i) => {
    const row = change.firstRow + Math.floor(i / change.rank);
    const place = row * rank + at + (i % change.rank);
    b[place] = (b[place] ?? 0) + change.scale * value;
  });
  const a = new Float32Array(rank * inputs);
  a.set(old.a);
  if (shared === null) a.set(change.a, old.a.length);
  for (const parameter of [before?.a, before?.b]) parameter?.release();
  return new LowRank(frozen(weight, [rank, inputs], a), frozen(weight, [outputs, rank], b), 1);
}

/** The row from which on a matrix has the rows of another; null when nowhere. */
function rowsAt(all: Float32Array, some: Float32Array, width: number): number | null {
  for (let start = 0; start + some.length <= all.length; start += width) {
    if (some.every((value, i) => value === all[start + i])) return start / width;
  }
  return null;
}

function frozen(weight: Tensor, shape: readonly [number, number], values: Float32Array): Parameter {
  const parameter = Parameter.create(weight.backend, shape);
  parameter.requiresGrad = false;
  parameter.write(values);
  return parameter;
}
