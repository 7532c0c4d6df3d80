import type { FusedKernels } from "../../backend/fused-kernels.ts";
import type { Kernels } from "../../backend/kernels.ts";
import { ShapeError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import { elementCount, formatShape, sameShape } from "../../core/shape.ts";
import type { Op, Pull } from "../op.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

interface NormAttrs {
  readonly epsilon: number;
}

/**
 * Layer normalisation of the last axis: y = (x − mean) / √(var + ε) ⊙ gain + bias.
 *
 * Shapes: x `[…, width]`, gain and bias `[width]` → y `[…, width]`. Precision: mean and variance in float32.
 *
 * @throws {ShapeError} when gain or bias is not one row.
 * @see Ba et al. (2016), "Layer normalization", equation 4, arXiv:1607.06450.
 */
export const layerNorm: Op<[x: Tensor, gain: Tensor, bias: Tensor], NormAttrs> = defineOp({
  name: "layerNorm",
  fused: ["layerNorm", "layerNormGrad"],
  infer: ([x, gain, bias]) => normShape("layerNorm", x.shape, [gain, bias]),
  auxiliary: ([x]) => [rowsOf(x), rowsOf(x)],
  run(kernels, [x, gain, bias], out, { epsilon }, [mean, rstd]) {
    kernels.layerNorm(x, gain, bias, epsilon, out, mean as Tensor, rstd as Tensor);
  },
  again: () => layerNorm.run,
  grad(dy, { inputs: [x, gain, bias], auxiliary: [mean, rstd], kernels }) {
    const dBias = bias.requiresGrad ? bias.blank() : null;
    const pulls = normPulls(dy, x, gain, (operands) =>
      kernels.layerNormGrad({ ...operands, rstd: rstd as Tensor, mean: mean as Tensor, dBias }),
    );
    return [pulls.x, pulls.gain, pulls.alongside(dBias)];
  },
  compose([x, gain, bias], { epsilon }) {
    const centred = x.sub(x.mean(-1, true));
    const rstd = centred.map("square").mean(-1, true).add(epsilon).map("rsqrt");
    return centred.mul(rstd).mul(gain).add(bias);
  },
});

/**
 * Root-mean-square normalisation of the last axis: y = x / √(mean x² + ε) ⊙ gain.
 *
 * Shapes: x `[…, width]`, gain `[width]` → y `[…, width]`.
 *
 * @throws {ShapeError} when gain is not one row.
 * @see Zhang & Sennrich (2019), "Root mean square layer normalization", equation 4, arXiv:1910.07467.
 */
export const rmsNorm: Op<[x: Tensor, gain: Tensor], NormAttrs> = defineOp({
  name: "rmsNorm",
  fused: ["rmsNorm", "rmsNormGrad"],
  infer: ([x, gain]) => normShape("rmsNorm", x.shape, [gain]),
  auxiliary: ([x]) => [rowsOf(x)],
  run: (kernels, [x, gain], out, { epsilon }, [rstd]) => kernels.rmsNorm(x, gain, epsilon, out, rstd as Tensor),
  again: () => rmsNorm.run,
  grad(dy, { inputs: [x, gain], auxiliary: [rstd], kernels }) {
    const pulls = normPulls(dy, x, gain, (operands) => kernels.rmsNormGrad({ ...operands, rstd: rstd as Tensor }));
    return [pulls.x, pulls.gain];
  },
  compose([x, gain], { epsilon }) {
    const rstd = x.map("square").mean(-1, true).add(epsilon).map("rsqrt");
    return x.mul(rstd).mul(gain);
  },
});

type Operands = Omit<Parameters<(Kernels & FusedKernels)["rmsNormGrad"]>[0], "rstd">;

interface NormPulls {
  readonly x: Pull;
  readonly gain: Pull;
  /** A pull that hands out what the same kernel computes. */
  readonly alongside: (gradient: Tensor | null) => Pull;
}

/**
 * One kernel computes all gradients of a norm: it runs when x's is pulled, which comes first, adding to what has
 * reached x already; for a frozen x it runs when another's is.
 */
function normPulls(dy: Tensor, x: Tensor, gain: Tensor, launch: (operands: Operands) => void): NormPulls {
  const dGain = gain.requiresGrad ? gain.blank() : null;
  let hasRun = false;
  const run = (sum: Tensor | null): Tensor => {
    const dx = sum ?? x.blank();
    launch({ x, gain, dy, residual: sum, dx, dGain });
    hasRun = true;
    return dx;
  };
  const alongside = (gradient: Tensor | null) => (): Tensor => {
    if (!hasRun) run(null).release();
    return gradient as Tensor;
  };
  return { x: run, gain: alongside(dGain), alongside };
}

/** Shape of the statistics: one number a row. */
function rowsOf(x: Tensor): Shape {
  return [elementCount(x.shape.slice(0, -1))];
}

function normShape(op: string, shape: Shape, rows: readonly Tensor[]): Shape {
  for (const row of rows) {
    if (shape.length === 0 || !sameShape(row.shape, shape.slice(-1))) {
      throw new ShapeError(
        `${op}: gain and bias must be one row of ${formatShape(shape)}, got ${formatShape(row.shape)}`,
      );
    }
  }
  return shape;
}
