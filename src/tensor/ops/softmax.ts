import { ShapeError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import type { Op } from "../op.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

/**
 * Softmax over the last axis: yᵢ = exp(xᵢ) / Σⱼ exp(xⱼ).
 *
 * Shapes: x `[…, n]` → y `[…, n]`; each row of y sums to 1.
 * Gradient: dx = y ⊙ (dy − Σⱼ dyⱼ yⱼ).
 *
 * @throws {ShapeError} when `x` is a scalar.
 */
export const softmax: Op<[x: Tensor], undefined> = defineOp({
  name: "softmax",
  infer: ([x]) => withRows("softmax", x.shape),
  run: (kernels, [x], out) => kernels.softmax(x, out),
  grad: (dy, { output: y, kernels }) => [
    () => {
      const dx = y.blank();
      kernels.softmaxGrad(y, dy, dx);
      return dx;
    },
  ],
});

/**
 * Logarithm of the softmax over the last axis, without its overflow: yᵢ = xᵢ − log Σⱼ exp(xⱼ).
 *
 * Shapes: x `[…, n]` → y `[…, n]`, in nats.
 * Gradient: dx = dy − exp(y) Σⱼ dyⱼ.
 *
 * @throws {ShapeError} when `x` is a scalar.
 */
export const logSoftmax: Op<[x: Tensor], undefined> = defineOp({
  name: "logSoftmax",
  infer: ([x]) => withRows("logSoftmax", x.shape),
  run: (kernels, [x], out) => kernels.logSoftmax(x, out),
  grad: (dy, { output: y, kernels }) => [
    () => {
      const dx = y.blank();
      kernels.logSoftmaxGrad(y, dy, dx);
      return dx;
    },
  ],
});

function withRows(op: string, shape: Shape): Shape {
  if (shape.length === 0) throw new ShapeError(`${op}: x must have at least 1 axis, got a scalar`);
  return shape;
}
