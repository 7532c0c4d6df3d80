import type { FusedKernels, Kernels } from "../../backend/kernels.ts";
import { ShapeError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import { formatShape, sameShape } from "../../core/shape.ts";
import type { Op, Pull } from "../op.ts";
import { defineOp, willRecord } from "../op.ts";
import type { Tensor } from "../tensor.ts";

interface CrossEntropyAttrs {
  /** int32 `[rows]`: class of each row; a negative one is left out of the loss. */
  readonly targets: Tensor;
  /** Multiplies the sum over rows: 1 / (number of targets ≥ 0) gives the mean. */
  readonly scale: number;
}

/** Logits that exist at one time, about: 16 M numbers, 64 MB. Every chunk reads the whole weight three times. */
const chunkElements = 1 << 24;

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
  { targets, scale }: CrossEntropyAttrs,
  [dHidden, dWeight, dBias]: readonly Tensor[],
): void {
  const [rows = 0, width = 0] = hidden.shape;
  const classes = weight.axis(0);
  const chunks = Math.ceil((rows * classes) / chunkElements);
  const step = Math.ceil(rows / Math.max(chunks, 1));
  const buffer = hidden.blank([step, classes]);
  const losses = hidden.blank([rows]);
  for (let start = 0; start < rows; start += step) {
    const count = Math.min(step, rows - start);
    const logits = buffer.window(0, [count, classes]);
    const some = hidden.window(start * width, [count, width]);
    const common = { batch: 1, transposeA: false, transposeB: false, batchStrideA: 0, batchStrideB: 0 };
    const sizes = { m: count, n: classes, k: width };
    kernels.matmul({ ...common, ...sizes, a: some, b: weight, out: logits, transposeB: true, bias });
    const lossRows = losses.window(start, [count]);
    kernels.crossEntropy(logits, targets.window(start, [count]), lossRows, dHidden ? logits : null, scale);
    if (dHidden?.size) {
      const dSome = dHidden.window(start * width, [count, width]);
      kernels.matmul({ ...common, a: logits, b: weight, out: dSome, m: count, n: width, k: classes });
    }
    if (dWeight?.size) {
      const turned = { m: classes, n: width, k: count, accumulate: start > 0 };
      kernels.matmul({ ...common, a: logits, b: some, out: dWeight, ...turned, transposeA: true });
    }
    if (dBias?.size) sumRows(kernels, logits, dBias, start > 0);
  }
  if (rows === 0) for (const gradient of [dWeight, dBias]) if (gradient) kernels.fill(gradient, 0);
  kernels.sum(losses, 1, rows, 1, out);
  kernels.affine(out, scale, 0, out);
  buffer.release();
  losses.release();
}

/** out = Σ rows of x, or out += with `accumulate`. */
function sumRows(kernels: Kernels, x: Tensor, out: Tensor, accumulate: boolean): void {
  const sum = accumulate ? out.blank() : out;
  kernels.sum(x, 1, x.axis(0), x.axis(1), sum);
  if (!accumulate) return;
  kernels.accumulate(sum, out);
  sum.release();
}

function scaledBy(kernels: Kernels, dy: Tensor, gradient: Tensor): Pull {
  return () => {
    kernels.binary("mul", gradient, dy, gradient);
    return gradient;
  };
}

function composed(logits: Tensor, { targets, scale }: CrossEntropyAttrs): Tensor {
  return logits
    .logSoftmax()
    .pick(targets.reshape([-1]))
    .sum()
    .mul(-scale);
}
