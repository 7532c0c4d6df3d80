import { transpose } from "../../checkpoint/assign-tensors.ts";
import type { Shape } from "../../core/shape.ts";

/** Name of the tensor that holds what each rotary pair's frequency is divided by. */
export const rotaryDivisors = "rope_freqs.weight";

/** Numbers of heads, by which rows of queries and keys are grouped. */
export interface HeadCounts {
  readonly heads: number;
  readonly keyValueHeads: number;
}

/**
 * How a matrix of a GGUF file lies in relation to the same one in a model folder. All shapes are row-major, outermost
 * axis first.
 */
export interface Arrangement {
  /** The shape in the one → that in the other. */
  shape(shape: Shape): Shape;
  /** Values as the folder has them, of that shape → as the file has them. */
  toGguf(values: Float32Array, shape: Shape, counts: HeadCounts): Float32Array;
  /** Values as the file has them, of that shape → as the folder has them. */
  toFolder(values: Float32Array, shape: Shape, counts: HeadCounts): Float32Array;
}

/** No difference. */
export const same: Arrangement = {
  shape: (shape) => shape,
  toGguf: (values) => values,
  toFolder: (values) => values,
};

/** The folder holds `[in, out]`, the file `[out, in]`. */
export const transposed: Arrangement = {
  shape: (shape) => shape.toReversed(),
  toGguf: transpose,
  toFolder: transpose,
};

/** Queries with rotary positions: see {@link rotaryRows}. */
export const rotaryQueries: Arrangement = rotaryRows("heads");

/** Keys with rotary positions: see {@link rotaryRows}. */
export const rotaryKeys: Arrangement = rotaryRows("keyValueHeads");

/**
 * Rows of each head in another order: folders have the first elements of all pairs before the second ones, as
 * `transformers` turns them; files keep each pair together, as Llama's authors do.
 */
function rotaryRows(heads: keyof HeadCounts): Arrangement {
  return {
    shape: (shape) => shape,
    toGguf: (values, shape, counts) => {
      const out = new Float32Array(values.length);
      forRotaryRows(shape, counts[heads], (inFolder, inFile, width) => {
        out.set(values.subarray(inFolder, inFolder + width), inFile);
      });
      return out;
    },
    toFolder: (values, shape, counts) => {
      const out = new Float32Array(values.length);
      forRotaryRows(shape, counts[heads], (inFolder, inFile, width) => {
        out.set(values.subarray(inFile, inFile + width), inFolder);
      });
      return out;
    },
  };
}

/** Calls `visit` with where each row of a matrix begins in the folder and in the file, and its length. */
function forRotaryRows(
  [rows = 0, width = 1]: Shape,
  heads: number,
  visit: (inFolder: number, inFile: number, width: number) => void,
): void {
  const headDim = rows / heads;
  for (let row = 0; row < rows; row++) {
    const inHead = row % headDim;
    const half = inHead < headDim / 2 ? 0 : 1;
    const pair = inHead - (half * headDim) / 2;
    visit(row * width, (row - inHead + 2 * pair + half) * width, width);
  }
}
