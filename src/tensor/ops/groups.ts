import { isWeightFormat } from "../../backend/weight-formats.ts";
import { ShapeError } from "../../core/errors.ts";
import { formatShape, sameShape } from "../../core/shape.ts";
import type { Op } from "../op.ts";
import { apply, defineOp, roundsRows } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const sorting: Op<Tensor[], { readonly groups: number }> = defineOp({
  name: "sortByGroup",
  integers: "all",
  dtype: "int32",
  infer(choices) {
    const [first] = choices;
    if (!first || choices.some((choice) => choice.dtype !== "int32" || !sameShape(choice.shape, first.shape))) {
      throw new ShapeError(
        `sortByGroup: needs int32 choices of one length, got ${choices.map((x) => x.dtype + formatShape(x.shape)).join(", ")}`,
      );
    }
    return [3, choices.length * first.size];
  },
  run: (kernels, choices, out, { groups }) => kernels.sortByGroup(choices, groups, out),
  grad: (_, { inputs }) => inputs.map(() => null),
});

/** Rows in the order of the groups that they are sent to; all int32 `[choices · rows]`. */
export interface GroupOrder {
  /** Which row stands at each place. */
  readonly rows: Tensor;
  /** Which of the choices sent it there: choice · rows + row. */
  readonly places: Tensor;
  /** Its group, ascending. */
  readonly groupOf: Tensor;
}

/** Sorts rows by group, as often as each has choices. Shapes: each choice int32 `[rows]`, ids below `groups`. */
export function sortByGroup(choices: readonly Tensor[], groups: number): GroupOrder {
  const all = apply(sorting, [...choices], { groups });
  const total = all.axis(1);
  const part = (i: number): Tensor => all.window(i * total, [total]);
  return { rows: part(0), places: part(1), groupOf: part(2) };
}

/**
 * A linear map of its own for each group of rows: yᵢ = W_{g(i)} xᵢ. Rows are sorted by group, so that each group is one
 * matrix product.
 *
 * Shapes: x `[rows, in]`, weight `[groups, out, in]`, groupOf int32 `[rows]` ascending → `[rows, out]`.
 * Gradient: dxᵢ = W_{g(i)}ᵀ dyᵢ, dW_g = Σ over the rows of g of dyᵢ xᵢᵀ.
 *
 * @throws {ShapeError} when the shapes do not fit.
 * @see Gale et al. (2022), "MegaBlocks: Efficient sparse training with mixture-of-experts", arXiv:2211.15841.
 */
export const groupedLinear: Op<[x: Tensor, weight: Tensor, groupOf: Tensor], undefined> = defineOp({
  name: "groupedLinear",
  integers: [2],
  weights: [1],
  fused: ["groupedLinear", "groupedLinearGrad"],
  infer([x, weight, groupOf]) {
    const [, out = 0, inner = 0] = weight.shape;
    const fits =
      weight.shape.length === 3 &&
      groupOf.dtype === "int32" &&
      sameShape(x.shape, [groupOf.size, inner]) &&
      sameShape(groupOf.shape, [groupOf.size]);
    if (fits) return [groupOf.size, out];
    throw new ShapeError(
      `groupedLinear: x ${formatShape(x.shape)}, weight ${formatShape(weight.shape)} and ${groupOf.dtype} groups ` +
        `${formatShape(groupOf.shape)} do not fit`,
    );
  },
  run: (kernels, [x, weight, groupOf], out) =>
    kernels.groupedLinear({ x, weight, groupOf, out, roundsRows: roundsRows() }),
  grad(dy, { inputs: [x, weight, groupOf], kernels }) {
    return [
      () => {
        const dx = x.blank();
        kernels.groupedLinearGrad({ x, weight, groupOf, dy, dx, dWeight: null });
        return dx;
      },
      () => {
        const dWeight = weight.blank();
        kernels.groupedLinearGrad({ x, weight, groupOf, dy, dx: null, dWeight });
        return dWeight;
      },
      null,
    ];
  },
  compose([x, stored, groupOf]) {
    const weight = isWeightFormat(stored.dtype) ? stored.copy() : stored;
    const [groups, out, inner] = [weight.axis(0), weight.axis(1), weight.axis(2)];
    const isOf = oneHot(groupOf, groups); // [rows, groups]
    const each = Array.from({ length: groups }, (_, group) => {
      const own = weight.slice(0, group, group + 1).reshape([out, inner]);
      return x.matmul(own, { transposeB: true }).mul(isOf.slice(-1, group, group + 1));
    });
    return each.reduce((sum, y) => sum.add(y));
  },
});

/** 1 at each id and 0 elsewhere: ids int32 `[…]` → `[…, classes]`. Not differentiable. */
export function oneHot(ids: Tensor, classes: number): Tensor {
  const identity = new Float32Array(classes * classes);
  for (let i = 0; i < classes; i++) identity[i * classes + i] = 1;
  const table = ids.blank([classes, classes]);
  table.write(identity);
  return table.gatherRows(ids);
}
