import type { BinaryKind, UnaryKind } from "../../backend/functions.ts";
import { ShapeError } from "../../core/errors.ts";
import { broadcastShape, formatShape, sameShape } from "../../core/shape.ts";
import type { Op, Pull } from "../op.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

type Binary = Op<[a: Tensor, b: Tensor], undefined>;

/** a + b with broadcasting. Gradient: dy for both, summed over the broadcast axes. */
export const add: Binary = defineOp({
  ...broadcasting("add"),
  grad: (dy, { inputs: [a, b] }) => [() => dy.sumTo(a.shape), () => dy.sumTo(b.shape)],
});

/** a − b with broadcasting. Gradient: dy and −dy. */
export const sub: Binary = defineOp({
  ...broadcasting("sub"),
  grad: (dy, { inputs: [a, b] }) => [() => dy.sumTo(a.shape), () => dy.neg().sumTo(b.shape)],
});

/** a ⊙ b with broadcasting. Gradient: dy ⊙ b and dy ⊙ a. */
export const mul: Binary = defineOp({
  ...broadcasting("mul"),
  grad: (dy, { inputs: [a, b] }) => [() => dy.mul(b).sumTo(a.shape), () => dy.mul(a).sumTo(b.shape)],
});

/** a / b with broadcasting. Gradient: dy / b and −dy ⊙ y / b. */
export const div: Binary = defineOp({
  ...broadcasting("div"),
  grad: (dy, { inputs: [a, b], output: y }) => [
    () => dy.div(b).sumTo(a.shape),
    () => dy.mul(y).div(b).neg().sumTo(b.shape),
  ],
});

/** The larger of a and b, with broadcasting. Gradient: to the larger; to a where they are equal. */
export const maximum: Binary = defineOp({
  ...broadcasting("maximum"),
  grad: (dy, { inputs: [a, b] }) => gradToChosen(dy, a, b, [a, b]),
});

/** The smaller of a and b, with broadcasting. Gradient: to the smaller; to a where they are equal. */
export const minimum: Binary = defineOp({
  ...broadcasting("minimum"),
  grad: (dy, { inputs: [a, b] }) => gradToChosen(dy, a, b, [b, a]),
});

/** scale · x + shift. Gradient: scale · dy. */
export const affine: Op<[x: Tensor], { scale: number; shift: number }> = defineOp({
  name: "affine",
  infer: ([x]) => x.shape,
  run: (kernels, [x], out, { scale, shift }) => kernels.affine(x, scale, shift, out),
  grad: (dy, _, { scale }) => [() => dy.mul(scale)],
});

/** f(x), element by element. Gradient: dy · f′(x). */
export const unary: Op<[x: Tensor], UnaryKind> = defineOp({
  name: "unary",
  infer: ([x]) => x.shape,
  run: (kernels, [x], out, kind) => kernels.unary(kind, x, out),
  again: () => unary.run,
  grad: (dy, { inputs: [x], kernels }, kind) => [
    () => {
      const dx = x.blank();
      kernels.unaryGrad(kind, x, dy, dx);
      return dx;
    },
  ],
});

/** condition ≠ 0 ? a : b, all of one shape. Gradient: dy where chosen, 0 elsewhere; none to the condition. */
export const select: Op<[condition: Tensor, a: Tensor, b: Tensor], undefined> = defineOp({
  name: "select",
  infer([condition, a, b]) {
    if (!sameShape(a.shape, condition.shape) || !sameShape(b.shape, condition.shape)) {
      throw new ShapeError(
        `select: condition ${formatShape(condition.shape)}, a ${formatShape(a.shape)} and b ${formatShape(b.shape)} ` +
          "must have one shape",
      );
    }
    return condition.shape;
  },
  run: (kernels, [condition, a, b], out) => kernels.select(condition, a, b, out),
  grad(dy, { inputs: [condition], kernels }) {
    const chosen = (first: boolean) => (): Tensor => {
      const dx = dy.blank();
      const zero = dy.filled(dy.shape, 0);
      kernels.select(condition, first ? dy : zero, first ? zero : dy, dx);
      return dx;
    };
    return [null, chosen(true), chosen(false)];
  },
});

function broadcasting(kind: BinaryKind): Pick<Binary, "name" | "infer" | "run"> {
  return {
    name: kind,
    infer: ([a, b]) => broadcastShape(kind, a.shape, b.shape),
    run: (kernels, [a, b], out) => kernels.binary(kind, a, b, out),
  };
}

/** dy to a where `larger` ≥ `smaller` (which are a and b in one order or the other), else to b. */
function gradToChosen(
  dy: Tensor,
  a: Tensor,
  b: Tensor,
  [larger, smaller]: readonly [larger: Tensor, smaller: Tensor],
): [Pull, Pull] {
  const toA = (): Tensor => {
    const isA = dy.blank();
    dy.backend.kernels.binary("greaterEqual", larger, smaller, isA);
    return dy.mul(isA);
  };
  return [() => toA().sumTo(a.shape), () => dy.sub(toA()).sumTo(b.shape)];
}
