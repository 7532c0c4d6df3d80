import type { AttentionRule, HeadRows } from "../fused-kernels.ts";
import type { Floats } from "./storage.ts";
import { valuesOf, weightsOf } from "./storage.ts";

type Sizes = Pick<AttentionRule, "batch" | "headDim">;

/** Copies heads out of a projection, wherever they lie in it: → `[batch, heads, rows, headDim]`. */
export function loadHeads(sizes: Sizes, from: HeadRows, heads: number, rows: number): Float64Array {
  const { storage } = from.view;
  const stored = storage.dtype === "bfloat16" ? weightsOf(storage, 0, storage.length) : valuesOf(storage);
  const dense = new Float64Array(sizes.batch * heads * rows * sizes.headDim);
  eachRow(sizes, from, heads, rows, (at, atDense) => {
    for (let d = 0; d < sizes.headDim; d++) dense[atDense + d] = stored[at + d]!;
  });
  return dense;
}

/** Copies dense heads to where they lie in a projection. */
export function storeHeads(sizes: Sizes, dense: Floats, to: HeadRows, heads: number, rows: number): void {
  const stored = valuesOf(to.view.storage);
  eachRow(sizes, to, heads, rows, (at, atDense) => {
    for (let d = 0; d < sizes.headDim; d++) stored[at + d] = dense[atDense + d]!;
  });
}

function eachRow(
  { batch, headDim }: Sizes,
  { view, offset, rowStride, batchStride }: HeadRows,
  heads: number,
  rows: number,
  visit: (at: number, atDense: number) => void,
): void {
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let t = 0; t < rows; t++) {
        const at = view.offset + offset + b * batchStride + t * rowStride + h * headDim;
        visit(at, ((b * heads + h) * rows + t) * headDim);
      }
    }
  }
}
