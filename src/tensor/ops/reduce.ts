import type { Shape } from "../../core/shape.ts";
import { elementCount } from "../../core/shape.ts";
import type { Op } from "../op.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

interface AxisAttrs {
  /** Counted from the start. */
  readonly axis: number;
  /** Leaves the axis with length 1 instead of removing it. */
  readonly keepAxis: boolean;
}

/** Σ over one axis. Gradient: dy, broadcast back. */
export const sum: Op<[x: Tensor], AxisAttrs> = defineOp({
  name: "sum",
  infer: ([x], attrs) => reducedShape(x.shape, attrs),
  run: (kernels, [x], out, { axis }) => kernels.sum(x, ...around(x.shape, axis), out),
  grad: (dy, { inputs: [x], kernels }, { axis }) => [
    () => {
      const dx = x.blank();
      kernels.fill(dx, 0);
      kernels.binary("add", dx, dy.reshape(reducedShape(x.shape, { axis, keepAxis: true })), dx);
      return dx;
    },
  ],
});

/** max over one axis. Gradient: dy to every element that equals the maximum. */
export const max: Op<[x: Tensor], AxisAttrs> = defineOp({
  name: "max",
  infer: ([x], attrs) => reducedShape(x.shape, attrs),
  run: (kernels, [x], out, { axis }) => kernels.max(x, ...around(x.shape, axis), out),
  grad: (dy, { inputs: [x], output: y, kernels }, { axis }) => [
    () => {
      const kept = reducedShape(x.shape, { axis, keepAxis: true });
      const isMax = x.blank();
      kernels.binary("equal", x, y.reshape(kept), isMax);
      return isMax.mul(dy.reshape(kept));
    },
  ],
});

/** int32 index of the largest element of each row, the first of equals. Shapes: x `[…, n]` → `[…]`. Not differentiable. */
export const argmax = defineOp<[x: Tensor]>({
  name: "argmax",
  dtype: "int32",
  infer: ([x]) => x.shape.slice(0, -1),
  run: (kernels, [x], out) => kernels.argmax(x, out),
  grad: () => [null],
});

function reducedShape(shape: Shape, { axis, keepAxis }: AxisAttrs): Shape {
  return keepAxis ? shape.with(axis, 1) : shape.toSpliced(axis, 1);
}

/** Sizes before, along and after an axis. */
function around(shape: Shape, axis: number): [outer: number, axis: number, inner: number] {
  return [elementCount(shape.slice(0, axis)), shape[axis] ?? 1, elementCount(shape.slice(axis + 1))];
}
