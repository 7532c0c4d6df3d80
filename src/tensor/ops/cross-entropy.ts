import type { FusedKernels } from "../../backend/fused-kernels.ts";
import type { Kernels } from "../../backend/kernels.ts";
import { ShapeError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import { formatShape, sameShape } from "../../core/shape.ts";
import type { Op, Pull } from "../op.ts";
import { defineOp, willRecord } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addGradients, capLogits, cappedLogits, fillLogits, rowsAtOnce } from "./output-layer.ts";

interface CrossEntropyAttrs {
  /** int32 `[rows]`: class of each row; a negative one is left out of the loss. */
  readonly targets: Tensor;
  /** Multiplies the sum over rows: 1 / (number of targets ≥ 0) gives the mean. */
  readonly scale: number;
  /** Logits become cap · tanh(logit / cap) first, as in Gemma 2; without, they stay. */
  readonly cap?: number | null;
}

/**
 * Cross-entropy of a linear classifier, without ever holding all its logits:
 * L = scale · Σᵢ (log Σⱼ exp(hᵢ·wⱼ) − hᵢ·w_{target i}), in nats.
 *
 * Rows are taken in chunks. Since the loss is a scalar, the gradient of each chunk's logits is known up to one factor
 * as soon as they are: the products for dh and dW happen at once, in the forward pass, and `dy` scales them later.
 *
 * Shapes: hidden `[rows, width]`, weight `[classes, width]` → scalar.
 */
export const linearCrossEntropy: Op<[hidden: Tensor, weight: Tensor], CrossEntropyAttrs> = defineOp({
  name: "linearCrossEntropy",
  weights: [1],
  fused: ["crossEntropy"],
  infer: ([hidden, weight], attrs) => lossShape(hidden, weight, attrs),
  auxiliary: (operands) => gradientShapes(operands),
  run: (kernels, [hidden, weight], out, attrs, gradients) =>
    classify(kernels, [hidden, weight, null], out, attrs, gradients),
  grad(dy, { auxiliary, kernels }) {
    const [hidden, weight] = auxiliary.map((gradient) => scaledBy(kernels, dy, gradient)) as [Pull, Pull];
    return [hidden, weight];
  },
  compose: ([hidden, weight], attrs) => composed(hidden.matmul(weight, { transposeB: true }), attrs),
});

/**
 * {@link linearCrossEntropy} of a classifier with a bias: the logits are hᵢ·wⱼ + bⱼ.
 *
 * Shapes: hidden `[rows, width]`, weight `[classes, width]`, bias `[classes]` → scalar.
 */
export const biasedCrossEntropy: Op<[hidden: Tensor, weight: Tensor, bias: Tensor], CrossEntropyAttrs> = defineOp({
  name: "biasedCrossEntropy",
  weights: [1],
  fused: ["crossEntropy"],
  infer([hidden, weight, bias], attrs) {
    if (!sameShape(bias.shape, weight.shape.slice(0, 1))) {
      throw new ShapeError(
        `biasedCrossEntropy: bias ${formatShape(bias.shape)} does not fit weight ${formatShape(weight.shape)}`,
      );
    }
    return lossShape(hidden, weight, attrs);
  },
  auxiliary: (operands) => gradientShapes(operands),
  run: (kernels, operands, out, attrs, gradients) => classify(kernels, operands, out, attrs, gradients),
  grad(dy, { auxiliary, kernels }) {
    const pulls = auxiliary.map((gradient) => scaledBy(kernels, dy, gradient)) as [Pull, Pull, Pull];
    return [pulls[0], pulls[1], pulls[2]];
  },
  compose: ([hidden, weight, bias], attrs) => composed(hidden.matmul(weight, { transposeB: true }).add(bias), attrs),
});

function lossShape(hidden: Tensor, weight: Tensor, { targets }: CrossEntropyAttrs): Shape {
  const [rows, width] = hidden.shape;
  if (hidden.shape.length !== 2 || weight.shape[1] !== width || targets.size !== rows || targets.dtype !== "int32") {
    throw new ShapeError(
      `linearCrossEntropy: hidden ${formatShape(hidden.shape)}, weight ${formatShape(weight.shape)} and ` +
        `${targets.dtype} targets ${formatShape(targets.shape)} do not fit`,
    );
  }
  return [];
}

/** Room for the gradient of each operand that wants one. */
function gradientShapes(operands: readonly Tensor[]): readonly Shape[] {
  return willRecord(operands) ? operands.map((x) => (x.requiresGrad ? x.shape : [0])) : [];
}

/** The loss, and at once the gradients of operands, up to the factor that `dy` will be. */
function classify(
  kernels: Kernels & FusedKernels,
  [hidden, weight, bias]: readonly [Tensor, Tensor, Tensor | null],
  out: Tensor,
  { targets, scale, cap = null }: CrossEntropyAttrs,
  [dHidden, dWeight, dBias]: readonly Tensor[],
): void {
  const [rows = 0, width = 0] = hidden.shape;
  const classes = weight.axis(0);
  const step = rowsAtOnce(rows, classes);
  const buffer = hidden.blank([step, classes]);
  const losses = hidden.blank([rows]);
  for (let start = 0; start < rows; start += step) {
    const count = Math.min(step, rows - start);
    const logits = buffer.window(0, [count, classes]);
    const some = hidden.window(start * width, [count, width]);
    fillLogits(kernels, [some, weight, bias], logits);
    const chunk = { targets: targets.window(start, [count]), losses: losses.window(start, [count]) };
    lossOf(kernels, logits, { ...chunk, scale, cap, isGradientWanted: dHidden !== undefined });
    if (dHidden) addGradients(kernels, logits, [some, weight], [dHidden, dWeight, dBias], start);
  }
  if (rows === 0) for (const gradient of [dWeight, dBias]) if (gradient) kernels.fill(gradient, 0);
  kernels.sum(losses, 1, rows, 1, out);
  kernels.affine(out, scale, 0, out);
  buffer.release();
  losses.release();
}

/** Losses of a chunk's rows; its logits become their gradient where that is wanted. */
function lossOf(
  kernels: Kernels & FusedKernels,
  logits: Tensor,
  chunk: {
    readonly targets: Tensor;
    readonly losses: Tensor;
    readonly scale: number;
    readonly cap: number | null;
    readonly isGradientWanted: boolean;
  },
): void {
  const { targets, losses, scale, cap, isGradientWanted } = chunk;
  if (cap === null) {
    kernels.crossEntropy(logits, targets, losses, isGradientWanted ? logits : null, scale);
    return;
  }
  const capped = logits.blank();
  capLogits(kernels, logits, cap, capped);
  kernels.crossEntropy(capped, targets, losses, isGradientWanted ? capped : null, scale);
  if (isGradientWanted) kernels.unaryGrad("tanh", logits, capped, logits); // cap · tanh′(x / cap) / cap
  capped.release();
}

function scaledBy(kernels: Kernels, dy: Tensor, gradient: Tensor): Pull {
  return () => {
    kernels.binary("mul", gradient, dy, gradient);
    return gradient;
  };
}

function composed(logits: Tensor, { targets, scale, cap = null }: CrossEntropyAttrs): Tensor {
  return cappedLogits(logits, cap)
    .logSoftmax()
    .pick(targets.reshape([-1]))
    .sum()
    .mul(-scale);
}
