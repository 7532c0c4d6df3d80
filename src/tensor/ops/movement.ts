import type { Walk } from "../../backend/kernels.ts";
import { ShapeError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import { formatShape, resolveAxis, rowMajorStrides, sameShape } from "../../core/shape.ts";
import type { Op, Pull } from "../op.ts";
import { apply, defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

/**
 * Reorders the axes: axis i of y is axis `order[i]` of x. Gradient: dy, reordered back.
 *
 * @throws {ShapeError} when `order` does not name every axis once.
 */
export const permute: Op<[x: Tensor], { order: readonly number[] }> = defineOp({
  name: "permute",
  infer([x], { order }) {
    if (
      !sameShape(
        [...order].sort((a, b) => a - b),
        [...x.shape.keys()],
      )
    ) {
      throw new ShapeError(`permute: order ${formatShape(order)} must name every axis of ${formatShape(x.shape)} once`);
    }
    return order.map((axis) => x.axis(axis));
  },
  run(kernels, [x], out, { order }) {
    const strides = rowMajorStrides(x.shape);
    const from: Walk = { view: x, offset: 0, strides: order.map((axis) => strides[axis] ?? 0) };
    kernels.transfer(out.shape, from, whole(out), false);
  },
  grad: (dy, _, { order }) => [() => dy.permute(order.map((_axis, i) => order.indexOf(i)))],
});

interface Range {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Elements start ≤ i < end of one axis. Gradient: dy there, 0 elsewhere.
 *
 * @throws {ShapeError} when the range leaves the axis.
 */
export const slice: Op<[x: Tensor], Range> = defineOp({
  name: "slice",
  unread: { inputs: true, output: true },
  infer([x], { axis, start, end }) {
    if (!(start >= 0 && end <= x.axis(axis) && start <= end)) {
      throw new ShapeError(`slice: ${start}…${end} is not within axis ${axis} of ${formatShape(x.shape)}`);
    }
    return x.shape.with(axis, end - start);
  },
  run: (kernels, [x], out, { axis, start }) => kernels.transfer(out.shape, part(x, axis, start), whole(out), false),
  grad: (dy, { inputs: [x], kernels }, { axis, start }) => [
    (sum) => {
      const dx = sum ?? x.filled(x.shape, 0);
      kernels.transfer(dy.shape, whole(dy), part(dx, axis, start), true);
      return dx;
    },
  ],
});

const concatenation: Op<Tensor[], { axis: number }> = defineOp({
  name: "concat",
  infer([first, ...others], { axis }) {
    if (!first) throw new ShapeError("concat: needs at least one tensor");
    for (const other of others) {
      if (
        other.shape.length !== first.shape.length ||
        !sameShape(other.shape.with(axis, 0), first.shape.with(axis, 0))
      ) {
        throw new ShapeError(
          `concat: ${formatShape(first.shape)} and ${formatShape(other.shape)} differ beside axis ${axis}`,
        );
      }
    }
    return first.shape.with(
      axis,
      others.reduce((length, other) => length + other.axis(axis), first.axis(axis)),
    );
  },
  run(kernels, inputs, out, { axis }) {
    let start = 0;
    for (const x of inputs) {
      kernels.transfer(x.shape, whole(x), part(out, axis, start), false);
      start += x.axis(axis);
    }
  },
  grad(dy, { inputs }, { axis }) {
    let start = 0;
    return inputs.map((x): Pull => {
      const from = start;
      start += x.axis(axis);
      return () => dy.slice(axis, from, from + x.axis(axis));
    });
  },
});

/**
 * Joins float32 tensors along one axis. Gradient: each its part of dy.
 *
 * @throws {ShapeError} when the shapes differ in another axis.
 */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  return apply(concatenation, [...tensors], { axis: resolveAxis("concat", axis, tensors[0]?.shape ?? []) });
}

/**
 * Pictures twice as large, each pixel four times: x `[batch, height, width, channels]` →
 * `[batch, 2 · height, 2 · width, channels]`. Gradient: the sum of the four.
 */
export function upsampleNearest(x: Tensor): Tensor {
  const [batch, height, width, channels] = [x.axis(0), x.axis(1), x.axis(2), x.axis(3)];
  const pixels = x.reshape([batch, height, 1, width, 1, channels]);
  const copies = pixels.add(x.filled([1, 1, 2, 1, 2, 1], 0));
  return copies.reshape([batch, 2 * height, 2 * width, channels]);
}

function whole(x: Tensor): Walk {
  return { view: x, offset: 0, strides: rowMajorStrides(x.shape) };
}

/** A walk that starts at index `start` of an axis; the shape walked may be shorter than x. */
function part(x: Tensor, axis: number, start: number): Walk {
  const strides: Shape = rowMajorStrides(x.shape);
  return { view: x, offset: start * (strides[axis] ?? 0), strides };
}
