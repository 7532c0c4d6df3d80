import type { Activation } from "../../backend/functions.ts";
import { ShapeError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import { formatShape, sameShape } from "../../core/shape.ts";
import type { Op } from "../op.ts";
import { apply, defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { linear } from "./matmul.ts";
import { concat } from "./movement.ts";

/** Zeros around a picture. */
export interface Padding {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

interface Conv2dAttrs {
  readonly stride: number;
  readonly padding: Padding;
  readonly activation: Activation | null;
}

/**
 * Two-dimensional convolution (cross-correlation) in one pass:
 * y[b, i, j] = f(Σ weight[o, u, v] · x[b, i·stride + u − top, j·stride + v − left] + bias), x being 0 outside of itself.
 *
 * Shapes: x `[batch, height, width, channels]`, weight `[out, tapRows, tapColumns, channels]` (PyTorch's has the channels
 * before the taps), bias `[out]` → `[batch, ⌊(height + top + bottom − tapRows) / stride⌋ + 1, …, out]`.
 * Gradient: dz = dy ⊙ f′(z); dx is dz convolved with the filters turned round, dweight the patches of x times dz.
 *
 * @throws {ShapeError} when the sizes do not fit, or the filter is larger than the padded picture.
 */
export const conv2d: Op<[x: Tensor, weight: Tensor, bias: Tensor | null], Conv2dAttrs> = defineOp({
  name: "conv2d",
  fused: ["conv2d", "conv2dInputGrad", "conv2dWeightGrad"],
  unread: { output: true },
  infer: ([x, weight, bias], attrs) => outputShape(x, weight, bias, attrs),
  auxiliary: ([x, weight], attrs) => (attrs.activation ? [outputShape(x, weight, null, attrs)] : []),
  run(kernels, [x, weight, bias], out, { activation, ...attrs }, [preActivation = null]) {
    kernels.conv2d({ x, weight, bias, out, activation, preActivation, ...placesOf(attrs) });
  },
  again: ({ activation }) =>
    activation && ((kernels, _, out, __, [preActivation]) => kernels.unary(activation, preActivation as Tensor, out)),
  grad(dy, { inputs: [x, weight], auxiliary: [preActivation], kernels }, { activation, ...attrs }) {
    // Nothing else reads dy: it becomes dz in place.
    if (activation && preActivation) kernels.unaryGrad(activation, preActivation, dy, dy);
    const places = placesOf(attrs);
    return [
      (sum) => {
        const dx = sum ?? x.blank();
        kernels.conv2dInputGrad({ dy, weight, dx, accumulate: sum !== null, ...places });
        return dx;
      },
      (sum) => {
        const dWeight = sum ?? weight.blank();
        kernels.conv2dWeightGrad({ dy, x, dWeight, accumulate: sum !== null, ...places });
        return dWeight;
      },
      () =>
        dy
          .detach()
          .reshape([-1, dy.axis(-1)])
          .sum(0),
    ];
  },
  compose([x, weight, bias], { stride, padding, activation }) {
    const [, rows = 0, columns = 0] = outputShape(x, weight, bias, { stride, padding, activation });
    const [outputs, tapRows, tapColumns] = [weight.axis(0), weight.axis(1), weight.axis(2)];
    const { top, left, bottom, right } = padding;
    // Behind the last place there has to be room for a whole stride.
    const padded = padAxis(padAxis(x, 1, top, bottom + stride), 2, left, right + stride);
    const patches = Array.from({ length: tapRows * tapColumns }, (_, tap) =>
      every(every(padded, { axis: 1, start: Math.floor(tap / tapColumns), count: rows, step: stride }), {
        axis: 2,
        start: tap % tapColumns,
        count: columns,
        step: stride,
      }),
    );
    return apply(linear, [concat(patches, -1), weight.reshape([outputs, -1]), bias, null], { activation });
  },
});

function placesOf({ stride, padding: { top, left } }: Omit<Conv2dAttrs, "activation">) {
  return { stride, top, left };
}

function outputShape(x: Tensor, weight: Tensor, bias: Tensor | null, { stride, padding }: Conv2dAttrs): Shape {
  const shapes = `x ${formatShape(x.shape)} and weight ${formatShape(weight.shape)}`;
  if (x.shape.length !== 4 || weight.shape.length !== 4 || x.axis(3) !== weight.axis(3) || weight.size === 0) {
    throw new ShapeError(
      `conv2d: ${shapes} do not fit; they are [batch, height, width, channels] and [out, rows, columns, channels]`,
    );
  }
  if (bias && !sameShape(bias.shape, [weight.axis(0)])) {
    throw new ShapeError(`conv2d: bias ${formatShape(bias.shape)} does not fit weight ${formatShape(weight.shape)}`);
  }
  const { top, left, bottom, right } = padding;
  if (![stride - 1, top, left, bottom, right].every((size) => Number.isInteger(size) && size >= 0)) {
    throw new ShapeError(
      `conv2d: stride ${stride} and padding ${top}, ${left}, ${bottom}, ${right} must be whole numbers`,
    );
  }
  const [height, width] = [x.axis(1) + top + bottom - weight.axis(1), x.axis(2) + left + right - weight.axis(2)];
  if (height < 0 || width < 0) {
    throw new ShapeError(`conv2d: ${shapes}: the filter is larger than the picture with its padding`);
  }
  return [x.axis(0), Math.floor(height / stride) + 1, Math.floor(width / stride) + 1, weight.axis(0)];
}

function padAxis(x: Tensor, axis: number, before: number, after: number): Tensor {
  return concat([x.filled(x.shape.with(axis, before), 0), x, x.filled(x.shape.with(axis, after), 0)], axis);
}

interface Steps {
  readonly axis: number;
  readonly start: number;
  readonly count: number;
  readonly step: number;
}

/** Elements start, start + step, … of one axis, `count` of them; there are enough behind the last for a whole step. */
function every(x: Tensor, { axis, start, count, step }: Steps): Tensor {
  const cut = x.slice(axis, start, start + count * step);
  const split = cut.reshape([...x.shape.slice(0, axis), count, step, ...x.shape.slice(axis + 1)]);
  return split.slice(axis + 1, 0, 1).reshape(x.shape.with(axis, count));
}
