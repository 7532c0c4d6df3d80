import { ShapeError } from "../../core/errors.ts";
import { elementCount, formatShape, sameShape } from "../../core/shape.ts";
import type { Op } from "../op.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

type Indexed = Op<[x: Tensor, ids: Tensor], undefined>;

/**
 * Rows of a table, as an embedding looks them up. A negative id gives a row of zeros.
 *
 * Shapes: table `[rows, width]`, ids int32 `[…]` → `[…, width]`.
 * Gradient: each dy row is added to the table row it came from.
 */
export const gatherRows: Indexed = defineOp({
  name: "gatherRows",
  integers: [1],
  weights: [0],
  infer([table, ids]) {
    const width = table.shape[1];
    if (table.shape.length !== 2 || width === undefined || ids.dtype !== "int32") {
      throw new ShapeError(
        `gatherRows: needs a table of 2 axes and int32 ids, got ${formatShape(table.shape)} and ${ids.dtype} ids`,
      );
    }
    return [...ids.shape, width];
  },
  run: (kernels, [table, ids], out) => kernels.gatherRows(table, ids, out),
  grad: (dy, { inputs: [table, ids], kernels }) => [
    (sum) => {
      const dTable = sum ?? table.filled(table.shape, 0);
      kernels.scatterAddRows(dy, ids, dTable);
      return dTable;
    },
    null,
  ],
});

/**
 * Sums of rows by id: y[ids[i]] += x[i], from zeros. A negative id leaves its row out.
 *
 * Shapes: x `[n, width]`, ids int32 `[n]` below `rows` → `[rows, width]`.
 * Gradient: the dy row that each row was added to.
 */
export const scatterRows: Op<[x: Tensor, ids: Tensor], { readonly rows: number }> = defineOp({
  name: "scatterRows",
  integers: [1],
  infer([x, ids], { rows: count }) {
    if (x.shape.length !== 2 || ids.dtype !== "int32" || !sameShape(ids.shape, [x.axis(0)])) {
      throw new ShapeError(
        `scatterRows: needs one int32 id for each row, got ${ids.dtype} ids ${formatShape(ids.shape)} for ${formatShape(x.shape)}`,
      );
    }
    return [count, x.axis(1)];
  },
  run(kernels, [x, ids], out) {
    kernels.fill(out, 0);
    kernels.scatterAddRows(x, ids, out);
  },
  grad: (dy, { inputs: [, ids] }) => [() => dy.gatherRows(ids), null],
});

/**
 * One element of each row of the last axis. A negative id gives 0.
 *
 * Shapes: x `[…, n]`, ids int32 `[…]` → `[…]`.
 * Gradient: dy at the picked elements, 0 elsewhere.
 */
export const pick: Indexed = defineOp({
  name: "pick",
  integers: [1],
  infer([x, ids]) {
    if (ids.dtype !== "int32" || !sameShape(x.shape.slice(0, -1), ids.shape)) {
      throw new ShapeError(
        `pick: needs one int32 id for each row, got ${ids.dtype} ids ${formatShape(ids.shape)} for ${formatShape(x.shape)}`,
      );
    }
    return ids.shape;
  },
  run: (kernels, [x, ids], out) => kernels.pick(rows(x), ids, out),
  grad: (dy, { inputs: [x, ids], kernels }) => [
    (sum) => {
      const dx = sum ?? x.filled(x.shape, 0);
      kernels.pickGrad(dy, ids, rows(dx));
      return dx;
    },
    null,
  ],
});

function rows(x: Tensor): Tensor {
  const width = x.shape.at(-1) ?? 1;
  return x.detach().reshape([elementCount(x.shape) / Math.max(width, 1), width]);
}
