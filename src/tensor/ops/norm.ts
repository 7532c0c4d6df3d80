import type { NormGrad } from "../../backend/fused-kernels.ts";
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
 * Shapes: x `[…, width]`, gain and bias `[width]`, or `[batch, width]`, a row for each sample of x `[batch, …, width]`, as in
 * adaptive norms → y `[…, width]`. Null stands for a gain of 1, a bias of 0. Precision: mean and variance in float32.
 *
 * @throws {ShapeError} when gain or bias is neither, or they differ.
 * @see Ba et al. (2016), "Layer normalization", equation 4, arXiv:1607.06450.
 */
export const layerNorm: Op<[x: Tensor, gain: Tensor | null, bias: Tensor | null], NormAttrs> = defineOp({
  name: "layerNorm",
  fused: ["layerNorm", "layerNormGrad"],
  infer([x, gain, bias]) {
    const rows = [gain, bias].filter((row) => row !== null);
    const [first] = rows;
    const isAdaptive = first?.shape.length === 2 && x.shape.length > 1;
    if (isAdaptive && rows.every(({ shape }) => sameShape(shape, [x.axis(0), x.axis(-1)]))) return x.shape;
    return normShape("layerNorm", x.shape, rows);
  },
  auxiliary: ([x]) => [rowsOf(x), rowsOf(x)],
  run(kernels, [x, gain, bias], out, { epsilon }, [mean, rstd]) {
    kernels.layerNorm(x, gain, bias, epsilon, out, mean as Tensor, rstd as Tensor);
  },
  again: () => layerNorm.run,
  grad(dy, { inputs: [x, gain, bias], auxiliary: [mean, rstd], kernels }) {
    const dBias = bias?.requiresGrad ? bias.blank() : null;
    const dGain = gain?.requiresGrad ? gain.blank() : null;
    const pulls = normPulls(dy, x, (operands) =>
      kernels.layerNormGrad({ ...operands, gain, dGain, rstd: rstd as Tensor, mean: mean as Tensor, dBias }),
    );
    return [pulls.x, gain && pulls.alongside(dGain), bias && pulls.alongside(dBias)];
  },
  compose([x, gain, bias], { epsilon }) {
    const centred = x.sub(x.mean(-1, true));
    const rstd = centred.map("square").mean(-1, true).add(epsilon).map("rsqrt");
    const normal = centred.mul(rstd);
    const scaled = gain ? normal.mul(alongRows(gain, x)) : normal;
    return bias ? scaled.add(alongRows(bias, x)) : scaled;
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
    const dGain = gain.requiresGrad ? gain.blank() : null;
    const pulls = normPulls(dy, x, (operands) =>
      kernels.rmsNormGrad({ ...operands, gain, dGain, rstd: rstd as Tensor }),
    );
    return [pulls.x, pulls.alongside(dGain)];
  },
  compose([x, gain], { epsilon }) {
    const rstd = x.map("square").mean(-1, true).add(epsilon).map("rsqrt");
    return x.mul(rstd).mul(gain);
  },
});

type Operands = Pick<NormGrad, "dy" | "residual"> & { readonly x: Tensor; readonly dx: Tensor };

interface NormPulls {
  readonly x: Pull;
  /** A pull that hands out what the same kernel computes. */
  readonly alongside: (gradient: Tensor | null) => Pull;
}

/**
 * One kernel computes all gradients of a norm: it runs when x's is pulled, which comes first, adding to what has
 * reached x already; for a frozen x it runs when another's is.
 */
export function normPulls(dy: Tensor, x: Tensor, launch: (operands: Operands) => void): NormPulls {
  let hasRun = false;
  const run = (sum: Tensor | null): Tensor => {
    const dx = sum ?? x.blank();
    launch({ x, dy, residual: sum, dx });
    hasRun = true;
    return dx;
  };
  const alongside = (gradient: Tensor | null) => (): Tensor => {
    if (!hasRun) run(null).release();
    return gradient as Tensor;
  };
  return { x: run, alongside };
}

/** A gain or bias as it is broadcast to x: a row for all, or a row for each sample. */
function alongRows(row: Tensor, x: Tensor): Tensor {
  return row.shape.length === 1 ? row : row.reshape([x.axis(0), ...x.shape.slice(1, -1).map(() => 1), x.axis(-1)]);
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
