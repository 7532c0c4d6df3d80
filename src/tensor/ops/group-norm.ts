import { ShapeError } from "../../core/errors.ts";
import { formatShape, sameShape } from "../../core/shape.ts";
import type { Op } from "../op.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { normPulls } from "./norm.ts";

interface GroupNormAttrs {
  readonly groups: number;
  readonly epsilon: number;
  /** Applied in the same pass. */
  readonly activation: "silu" | null;
}

/**
 * Group normalisation: the channels of each sample are cut into groups of neighbours, and each group is normalised over its
 * channels at all places: y = f((x − mean) / √(var + ε) ⊙ gain + bias).
 *
 * Shapes: x `[batch, …, channels]`, gain and bias `[channels]` → y as x. The gradient computes the value before f again.
 *
 * @throws {ShapeError} when the groups do not divide the channels, or gain or bias is not one row.
 * @see Wu & He (2018), "Group normalization", equations 1, 2, 6 and 7, arXiv:1803.08494.
 */
export const groupNorm: Op<[x: Tensor, gain: Tensor, bias: Tensor], GroupNormAttrs> = defineOp({
  name: "groupNorm",
  fused: ["groupNorm", "groupNormGrad"],
  unread: { output: true },
  infer([x, gain, bias], { groups }) {
    if (x.shape.length < 2 || !(groups > 0) || x.axis(-1) % groups !== 0) {
      throw new ShapeError(`groupNorm: ${groups} groups do not divide the channels of ${formatShape(x.shape)}`);
    }
    for (const row of [gain, bias]) {
      if (sameShape(row.shape, x.shape.slice(-1))) continue;
      throw new ShapeError(
        `groupNorm: gain and bias must be one row of ${formatShape(x.shape)}, got ${formatShape(row.shape)}`,
      );
    }
    return x.shape;
  },
  auxiliary: ([x], { groups }) => [
    [x.axis(0), groups],
    [x.axis(0), groups],
  ],
  run(kernels, [x, gain, bias], out, { groups, epsilon, activation }, [mean, rstd]) {
    const statistics = { mean: mean as Tensor, rstd: rstd as Tensor };
    kernels.groupNorm({ x, gain, bias, ...statistics, groups, epsilon, activation, out });
  },
  again: () => groupNorm.run,
  grad(dy, { inputs: [x, gain, bias], auxiliary: [mean, rstd], kernels }, { groups, activation }) {
    const [dGain, dBias] = [gain, bias].map((row) => (row.requiresGrad ? row.blank() : null)) as [
      Tensor | null,
      Tensor | null,
    ];
    const statistics = { mean: mean as Tensor, rstd: rstd as Tensor };
    const pulls = normPulls(dy, x, (operands) =>
      kernels.groupNormGrad({ ...operands, gain, bias, ...statistics, groups, activation, dGain, dBias }),
    );
    return [pulls.x, pulls.alongside(dGain), pulls.alongside(dBias)];
  },
  compose([x, gain, bias], { groups, epsilon, activation }) {
    const each = x.axis(-1) / groups;
    const cut = x.reshape([x.axis(0), -1, groups, each]);
    const mean = (y: Tensor): Tensor => y.mean(1, true).mean(3, true);
    const centred = cut.sub(mean(cut));
    const normal = centred.mul(mean(centred.map("square")).add(epsilon).map("rsqrt")).reshape(x.shape);
    const scaled = normal.mul(gain).add(bias);
    return activation ? scaled.map(activation) : scaled;
  },
});
