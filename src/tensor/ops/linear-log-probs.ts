import type { FusedKernels } from "../../backend/fused-kernels.ts";
import type { Kernels } from "../../backend/kernels.ts";
import { ShapeError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import { formatShape, sameShape } from "../../core/shape.ts";
import type { Op, Pull } from "../op.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import type { OutputLayer } from "./output-layer.ts";
import { addGradients, capLogits, cappedLogits, fillLogits, rowsAtOnce } from "./output-layer.ts";

/** What is watched beside log-probabilities: filled in passing, off the tape. All `[rows]`. */
export interface LogProbMeasures {
  /** −Σ p log p over the classes, in nats; 0 where there is no target. */
  readonly entropy: Tensor | null;
  /** Mean of the logits, capped but not divided by the temperature. */
  readonly meanLogits: Tensor | null;
}

interface LogProbAttrs {
  /** int32 `[rows]`: class of each row; a negative one has the log-probability 0. */
  readonly targets: Tensor;
  /** Divides the logits. */
  readonly temperature: number;
  /** Logits become cap · tanh(logit / cap) first; null leaves them. */
  readonly cap: number | null;
  readonly measures: LogProbMeasures | null;
}

/**
 * Log-probability of a class for each row of a linear classifier, without ever holding all its logits: with
 * z = cap · tanh((h · Wᵀ + b) / cap), log p = z[target] / T − log Σⱼ exp(z[j] / T), in nats.
 *
 * Rows are taken in chunks. The gradient makes the logits of a chunk once more.
 *
 * Shapes: hidden `[rows, width]`, weight `[classes, width]`, bias `[classes]` → `[rows]`.
 */
export const linearLogProbs: Op<[hidden: Tensor, weight: Tensor, bias: Tensor | null], LogProbAttrs> = defineOp({
  name: "linearLogProbs",
  weights: [1],
  fused: ["crossEntropy"],
  infer: ([hidden, weight, bias], { targets }) => logProbShape(hidden, weight, bias, targets),
  run(kernels, layer, out, attrs) {
    overChunks(kernels, layer, attrs, (chunk) => {
      const losses = out.window(chunk.start, [chunk.count]);
      const isWatched = attrs.measures?.entropy ?? null;
      const slope = isWatched ? chunk.scores.blank() : null;
      kernels.crossEntropy(chunk.scores, chunk.targets, losses, slope, 1);
      if (slope) fillEntropy(kernels, chunk, losses, slope, isWatched);
    });
    kernels.affine(out, -1, 0, out);
  },
  grad(dy, { inputs: layer, kernels }, attrs) {
    // One more pass gives the gradients of all inputs, when the first is wanted.
    let all: readonly (Tensor | undefined)[] | null = null;
    const pull = (i: number): Pull => {
      return () => {
        all ??= gradients(kernels, layer, attrs, dy);
        return all[i] as Tensor;
      };
    };
    return [pull(0), pull(1), layer[2] ? pull(2) : null];
  },
  compose: ([hidden, weight, bias], attrs) => composed(hidden, weight, bias, attrs),
});

function logProbShape(hidden: Tensor, weight: Tensor, bias: Tensor | null, targets: Tensor): Shape {
  const [rows, width] = hidden.shape;
  const fits = hidden.shape.length === 2 && weight.shape[1] === width && targets.size === rows;
  if (!fits || targets.dtype !== "int32" || (bias && !sameShape(bias.shape, weight.shape.slice(0, 1)))) {
    throw new ShapeError(
      `linearLogProbs: hidden ${formatShape(hidden.shape)}, weight ${formatShape(weight.shape)}, ` +
        `${bias ? `bias ${formatShape(bias.shape)}` : "no bias"} and ${targets.dtype} targets ` +
        `${formatShape(targets.shape)} do not fit`,
    );
  }
  return [targets.size];
}

/** Some rows that go through together. */
interface Chunk {
  readonly start: number;
  readonly count: number;
  /** `[count, width]` */
  readonly hidden: Tensor;
  readonly targets: Tensor;
  /** `[count, classes]`: capped and divided by the temperature. */
  readonly scores: Tensor;
  /** Where there is a cap: the logits divided by it. */
  readonly beforeCap: Tensor | null;
}

function overChunks(
  kernels: Kernels,
  [hidden, weight, bias]: OutputLayer,
  { targets, temperature, cap, measures }: LogProbAttrs,
  use: (chunk: Chunk) => void,
): void {
  const [rows, width, classes] = [hidden.axis(0), hidden.axis(1), weight.axis(0)];
  const step = rowsAtOnce(rows, classes);
  const buffers = [hidden.blank([step, classes]), ...(cap === null ? [] : [hidden.blank([step, classes])])];
  for (let start = 0; start < rows; start += step) {
    const count = Math.min(step, rows - start);
    const [logits, capped] = buffers.map((buffer) => buffer.window(0, [count, classes])) as [Tensor, Tensor?];
    const some = hidden.window(start * width, [count, width]);
    fillLogits(kernels, [some, weight, bias], logits);
    if (capped) capLogits(kernels, logits, cap ?? 1, capped);
    const scores = capped ?? logits;
    if (measures?.meanLogits) {
      const means = measures.meanLogits.window(start, [count]);
      kernels.sum(scores, count, classes, 1, means);
      kernels.affine(means, 1 / classes, 0, means);
    }
    if (temperature !== 1) kernels.affine(scores, 1 / temperature, 0, scores);
    const own = { start, count, hidden: some, targets: targets.window(start, [count]) };
    use({ ...own, scores, beforeCap: capped ? logits : null });
  }
  for (const buffer of buffers) buffer.release();
}

/** With the loss −log p and its slope p − onehot: H = loss − Σ slope · z, since log Σ exp z = loss + z[target]. */
function fillEntropy(kernels: Kernels, chunk: Chunk, losses: Tensor, slope: Tensor, entropy: Tensor | null): void {
  const { start, count, scores } = chunk;
  const out = entropy?.window(start, [count]);
  if (out) {
    kernels.binary("mul", slope, scores, slope);
    kernels.sum(slope, count, scores.axis(1), 1, out);
    kernels.binary("sub", losses, out, out);
  }
  slope.release();
}

function gradients(
  kernels: Kernels & FusedKernels,
  layer: OutputLayer,
  attrs: LogProbAttrs,
  dy: Tensor,
): readonly (Tensor | undefined)[] {
  const all = layer.map((input) => (input?.requiresGrad ? input.blank() : undefined));
  const [dHidden, dWeight, dBias] = all;
  if (dy.size === 0) for (const gradient of all) if (gradient) kernels.fill(gradient, 0);
  const losses = dy.blank();
  overChunks(kernels, layer, { ...attrs, measures: null }, ({ start, count, hidden, targets, scores, beforeCap }) => {
    kernels.crossEntropy(scores, targets, losses.window(start, [count]), scores, -1 / attrs.temperature);
    kernels.binary("mul", scores, dy.window(start, [count]).reshape([count, 1]), scores);
    if (beforeCap) kernels.unaryGrad("tanh", beforeCap, scores, scores); // cap · tanh′(x / cap) / cap
    addGradients(kernels, scores, [hidden, layer[1]], [dHidden, dWeight, dBias], start);
  });
  losses.release();
  return all;
}

function composed(hidden: Tensor, weight: Tensor, bias: Tensor | null, attrs: LogProbAttrs): Tensor {
  const { targets, temperature, cap, measures } = attrs;
  const product = hidden.matmul(weight, { transposeB: true });
  const logits = cappedLogits(bias ? product.add(bias) : product, cap);
  const all = logits.mul(1 / temperature).logSoftmax();
  const fill = (out: Tensor | null | undefined, values: () => Tensor): void => {
    if (out) out.backend.kernels.affine(values(), 1, 0, out);
  };
  fill(measures?.meanLogits, () => logits.detach().mean(-1));
  fill(measures?.entropy, () => entropyOf(all.detach(), targets));
  return all.pick(targets.reshape([-1]));
}

function entropyOf(logProbs: Tensor, targets: Tensor): Tensor {
  const ones = logProbs.filled(logProbs.shape, 1).pick(targets.reshape([-1]));
  return logProbs.exp().mul(logProbs).sum(-1).neg().mul(ones);
}
