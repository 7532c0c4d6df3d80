import type { Kernels } from "../../backend/kernels.ts";
import { roundsRows } from "../op.ts";
import type { Tensor } from "../tensor.ts";

/**
 * What ops on the logits of an output layer share: they take rows in chunks, so that the logits of all rows never exist
 * at one time.
 */

/** Hidden states `[rows, width]`, weight `[classes, width]` and, where there is one, bias `[classes]`. */
export type OutputLayer = readonly [hidden: Tensor, weight: Tensor, bias: Tensor | null];

/** Logits that exist at one time, about: 16 M numbers, 64 MB. Every chunk reads the whole weight. */
const chunkElements = 1 << 24;

/** How many of some rows go through an output layer at once. */
export function rowsAtOnce(rows: number, classes: number): number {
  const chunks = Math.ceil((rows * classes) / chunkElements);
  return Math.ceil(rows / Math.max(chunks, 1));
}

/** out = hidden · weightᵀ + bias, `[rows, classes]`. */
export function fillLogits(kernels: Kernels, [hidden, weight, bias]: OutputLayer, out: Tensor): void {
  const [m, k, n] = [hidden.axis(0), hidden.axis(1), weight.axis(0)];
  const plain = { batch: 1, transposeA: false, transposeB: true, batchStrideA: 0, batchStrideB: 0 };
  kernels.matmul({ ...plain, m, n, k, a: hidden, b: weight, out, bias, roundsRows: roundsRows() });
}

/** out = cap · tanh(logits / cap). What remains in `logits`, divided by the cap, is what the gradient of tanh asks for. */
export function capLogits(kernels: Kernels, logits: Tensor, cap: number, out: Tensor): void {
  kernels.affine(logits, 1 / cap, 0, logits);
  kernels.unary("tanh", logits, out);
  kernels.affine(out, cap, 0, out);
}

/** {@link capLogits} from other ops; without a cap the logits stay. */
export function cappedLogits(logits: Tensor, cap: number | null): Tensor {
  if (cap === null) return logits;
  return logits
    .mul(1 / cap)
    .map("tanh")
    .mul(cap);
}

/** What a chunk's logits, from row `start` on, send back to hidden states, weight and bias. */
export function addGradients(
  kernels: Kernels,
  dLogits: Tensor,
  [hidden, weight]: readonly [Tensor, Tensor],
  [dHidden, dWeight, dBias]: readonly (Tensor | undefined)[],
  start: number,
): void {
  const [count, width, classes] = [hidden.axis(0), hidden.axis(1), weight.axis(0)];
  const common = { batch: 1, transposeA: false, transposeB: false, batchStrideA: 0, batchStrideB: 0 };
  if (dHidden?.size) {
    const out = dHidden.window(start * width, [count, width]);
    kernels.matmul({ ...common, a: dLogits, b: weight, out, m: count, n: width, k: classes });
  }
  if (dWeight?.size) {
    const turned = { m: classes, n: width, k: count, accumulate: start > 0, transposeA: true };
    kernels.matmul({ ...common, ...turned, a: dLogits, b: hidden, out: dWeight });
  }
  if (dBias?.size) sumRows(kernels, dLogits, dBias, start > 0);
}

/** out = Σ rows of x, or out += with `accumulate`. */
function sumRows(kernels: Kernels, x: Tensor, out: Tensor, accumulate: boolean): void {
  const sum = accumulate ? out.blank() : out;
  kernels.sum(x, 1, x.axis(0), x.axis(1), sum);
  if (!accumulate) return;
  kernels.accumulate(sum, out);
  sum.release();
}
