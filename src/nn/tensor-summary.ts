import { isWeightFormat, weightFormats } from "../backend/weight-formats.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** How often numbers lie in intervals of one width. */
export interface ValueHistogram {
  /** Lower bound of the first interval. */
  readonly from: number;
  /** Upper bound of the last. */
  readonly to: number;
  readonly counts: readonly number[];
}

/** The numbers of a tensor in a few. Those that are not finite are counted and else left out. */
export interface TensorSummary {
  readonly mean: number;
  readonly standardDeviation: number;
  /** Root of the sum of squares. */
  readonly norm: number;
  readonly min: number;
  readonly max: number;
  readonly zeros: number;
  readonly notFinite: number;
  readonly histogram: ValueHistogram;
}

/** Numbers that are read at a time: whole blocks of every weight format. */
const sliceSize = 1 << 18;
const intervals = 48;

/**
 * Summarizes a tensor, whatever it is stored as. The work comes in slices, so that others may have their turn between them;
 * numbers are read twice, as the histogram's bounds are the smallest and the largest.
 */
export async function* summarize(tensor: Tensor): AsyncGenerator<void, TensorSummary> {
  const sums = { count: 0, sum: 0, squares: 0, min: Infinity, max: -Infinity, zeros: 0, notFinite: 0 };
  for (const slice of slicesOf(tensor)) {
    addTo(sums, await slice.read());
    yield;
  }
  const { count, sum, squares, zeros, notFinite } = sums;
  const [min, max] = count === 0 ? [0, 0] : [sums.min, sums.max];
  const counts = new Array<number>(intervals).fill(0);
  for (const slice of slicesOf(tensor)) {
    countInto(counts, min, max, await slice.read());
    yield;
  }
  const mean = count === 0 ? 0 : sum / count;
  const variance = count === 0 ? 0 : Math.max(0, squares / count - mean * mean);
  return {
    ...{ mean, standardDeviation: Math.sqrt(variance), norm: Math.sqrt(squares), min, max, zeros, notFinite },
    histogram: { from: min, to: max, counts },
  };
}

function slicesOf(tensor: Tensor): Tensor[] {
  const { size, dtype } = tensor;
  const block = isWeightFormat(dtype) ? weightFormats[dtype].block : 1;
  const step = Math.floor(sliceSize / block) * block;
  return Array.from({ length: Math.ceil(size / step) }, (_, i) =>
    tensor.window(i * step, [Math.min(step, size - i * step)]),
  );
}

interface Sums {
  count: number;
  sum: number;
  squares: number;
  min: number;
  max: number;
  zeros: number;
  notFinite: number;
}

function addTo(sums: Sums, values: ArrayLike<number>): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) {
      sums.notFinite += 1;
      continue;
    }
    sums.count += 1;
    sums.sum += value;
    sums.squares += value * value;
    if (value < sums.min) sums.min = value;
    if (value > sums.max) sums.max = value;
    if (value === 0) sums.zeros += 1;
  }
}

function countInto(counts: number[], min: number, max: number, values: ArrayLike<number>): void {
  const scale = max > min ? counts.length / (max - min) : 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    const at = Math.min(counts.length - 1, Math.floor((value - min) * scale));
    counts[at] = (counts[at] ?? 0) + 1;
  }
}
