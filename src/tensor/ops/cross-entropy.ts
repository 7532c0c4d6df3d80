import { ShapeError } from "../../core/errors.ts";
import { formatShape } from "../../core/shape.ts";
import type { Op } from "../op.ts";
import { defineOp, willRecord } from "../op.ts";
import type { Tensor } from "../tensor.ts";

interface CrossEntropyAttrs {
  /** int32 `[rows]`: class of each row; a negative one is left out of the loss. */
  readonly targets: Tensor;
  /** Multiplies the sum over rows: 1 / (number of targets ≥ 0) gives the mean. */
  readonly scale: number;
}

/** Logits that exist at one time, at most: 4 M numbers, 16 MB. */
const chunkElements = 1 << 22;

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
  infer([hidden, weight], { targets }) {
    const [rows, width] = hidden.shape;
    if (hidden.shape.length !== 2 || weight.shape[1] !== width || targets.size !== rows || targets.dtype !== "int32") {
      throw new ShapeError(
        `linearCrossEntropy: hidden ${formatShape(hidden.shape)}, weight ${formatShape(weight.shape)} and ` +
          `${targets.dtype} targets ${formatShape(targets.shape)} do not fit`,
      );
    }
    return [];
  },
  auxiliary: (inputs) => (willRecord(inputs) ? inputs.map((x) => (x.requiresGrad ? x.shape : [0])) : []),
  run(kernels, [hidden, weight], out, { targets, scale }, [dHidden, dWeight]) {
    const [rows = 0, width = 0] = hidden.shape;
    const classes = weight.axis(0);
    const step = Math.max(1, Math.min(rows, Math.floor(chunkElements / classes)));
    const buffer = hidden.blank([step, classes]);
    const losses = hidden.blank([rows]);
    for (let start = 0; start < rows; start += step) {
      const count = Math.min(step, rows - start);
      const logits = buffer.window(0, [count, classes]);
      const some = hidden.window(start * width, [count, width]);
      const common = { batch: 1, transposeA: false, transposeB: false, batchStrideA: 0, batchStrideB: 0 };
      kernels.matmul({ ...common, a: some, b: weight, out: logits, m: count, n: classes, k: width, transposeB: true });
      const lossRows = losses.window(start, [count]);
      kernels.crossEntropy(logits, targets.window(start, [count]), lossRows, dHidden ? logits : null, scale);
      if (dHidden?.size) {
        const dSome = dHidden.window(start * width, [count, width]);
        kernels.matmul({ ...common, a: logits, b: weight, out: dSome, m: count, n: width, k: classes });
      }
      if (dWeight?.size) {
        const sizes = { m: classes, n: width, k: count, accumulate: start > 0 };
        kernels.matmul({ ...common, a: logits, b: some, out: dWeight, ...sizes, transposeA: true });
      }
    }
    if (rows === 0 && dWeight) kernels.fill(dWeight, 0);
    kernels.sum(losses, 1, rows, 1, out);
    kernels.affine(out, scale, 0, out);
    buffer.release();
    losses.release();
  },
  grad: (dy, { auxiliary, kernels }) => {
    const scaled = (gradient: Tensor): Tensor => {
      kernels.binary("mul", gradient, dy, gradient);
      return gradient;
    };
    return [() => scaled(auxiliary[0] as Tensor), () => scaled(auxiliary[1] as Tensor)];
  },
  compose: ([hidden, weight], { targets, scale }) =>
    hidden
      .matmul(weight, { transposeB: true })
      .logSoftmax()
      .pick(targets.reshape([-1]))
      .sum()
      .mul(-scale),
});
