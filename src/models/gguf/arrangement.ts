import type { StoredForm } from "../../checkpoint/assign-tensors.ts";
import type { Shape } from "../../core/shape.ts";

/** Numbers of heads, by which rows of queries, keys and values are grouped. */
export interface HeadCounts {
  readonly heads: number;
  readonly keyValueHeads: number;
}

/** How a tensor of so many rows lies in a file, as seen from a model folder. */
export type Arrangement = (rows: number, counts: HeadCounts) => Omit<StoredForm, "tensor">;

/** No difference. */
export const same: Arrangement = () => ({});

/** The folder holds `[in, out]`, the file `[out, in]`. */
export const transposed: Arrangement = () => ({ transposed: true });

/** The folder holds gains less 1, the file as they are. */
export const lessOne: Arrangement = () => ({ shift: -1 });

/** Queries with rotary positions: see {@link pairRows}. */
export const pairedQueries: Arrangement = (rows, { heads }) => ({ rows: pairRows(rows, heads) });

/** Keys with rotary positions: see {@link pairRows}. */
export const pairedKeys: Arrangement = (rows, { keyValueHeads }) => ({ rows: pairRows(rows, keyValueHeads) });

/**
 * Queries, keys and values in one matrix: folders have the queries of a key-value head, its key and its value together;
 * files have all queries, then all keys, then all values.
 */
export const byGroup: Arrangement = (rows, { heads, keyValueHeads }) => {
  const sharing = heads / keyValueHeads;
  const headDim = rows / (heads + 2 * keyValueHeads);
  return {
    rows: Int32Array.from({ length: rows }, (_, row) => {
      const head = Math.floor(row / headDim);
      const [group, within] = [Math.floor(head / (sharing + 2)), head % (sharing + 2)];
      const query = group * sharing + within;
      const inFile = within < sharing ? query : heads + (within - sharing) * keyValueHeads + group;
      return inFile * headDim + (row % headDim);
    }),
  };
};

/** The shape of a tensor of the file, or of the folder, in the other. */
export function arrangedShape(arrangement: Arrangement, shape: Shape, counts: HeadCounts): Shape {
  return arrangement(shape[0] ?? 1, counts).transposed ? shape.toReversed() : shape;
}

/**
 * Rows of each head in another order: folders have the first elements of all pairs before the second ones, as
 * `transformers` turns them; files keep each pair together, as Llama's authors do.
 */
function pairRows(rows: number, heads: number): Int32Array {
  const headDim = rows / heads;
  const order = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    const inHead = row % headDim;
    const half = inHead < headDim / 2 ? 0 : 1;
    const pair = inHead - (half * headDim) / 2;
    order[row] = row - inHead + 2 * pair + half;
  }
  return order;
}
