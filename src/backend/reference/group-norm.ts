import { elementCount } from "../../core/shape.ts";
import type { FusedKernels, GroupNorm, GroupNormGrad, GroupNormRule } from "../fused-kernels.ts";
import { floats } from "./storage.ts";
import { unaryFunctions } from "./unary.ts";

/** Normalisation of groups of channels, with statistics in float64. */
export const groupNorms = {
  groupNorm(norm: GroupNorm): void {
    const [x, gain, bias, out] = [floats(norm.x), floats(norm.gain), floats(norm.bias), floats(norm.out)];
    const [means, rstds] = [floats(norm.mean), floats(norm.rstd)];
    const activate = norm.activation ? unaryFunctions[norm.activation].value : (z: number) => z;
    forGroups(norm, (group, places) => {
      const mean = places.reduce((sum, [at]) => sum + x[at]!, 0) / places.length;
      const variance = places.reduce((sum, [at]) => sum + (x[at]! - mean) ** 2, 0) / places.length;
      const rstd = 1 / Math.sqrt(variance + norm.epsilon);
      for (const [at, c] of places) out[at] = activate((x[at]! - mean) * rstd * gain[c]! + bias[c]!);
      means[group] = mean;
      rstds[group] = rstd;
    });
  },
  groupNormGrad(norm: GroupNormGrad): void {
    const [x, gain, bias, dy, dx] = [norm.x, norm.gain, norm.bias, norm.dy, norm.dx].map(floats) as Five;
    const [means, rstds] = [floats(norm.mean), floats(norm.rstd)];
    const carried = norm.residual ? floats(norm.residual) : null;
    const slope = norm.activation ? unaryFunctions[norm.activation].slope : () => 1;
    const [gainSums, biasSums] = [new Float64Array(gain.length), new Float64Array(gain.length)];
    forGroups(norm, (group, places) => {
      const [mean, rstd] = [means[group]!, rstds[group]!];
      const terms = places.map(([at, c]) => {
        const normal = (x[at]! - mean) * rstd;
        const dz = dy[at]! * slope(normal * gain[c]! + bias[c]!);
        gainSums[c]! += dz * normal;
        biasSums[c]! += dz;
        return { at, normal, dNormal: dz * gain[c]! };
      });
      const centre = terms.reduce((sum, { dNormal }) => sum + dNormal, 0) / terms.length;
      const product = terms.reduce((sum, { dNormal, normal }) => sum + dNormal * normal, 0) / terms.length;
      for (const { at, normal, dNormal } of terms) {
        dx[at] = rstd * (dNormal - centre - normal * product) + (carried?.[at] ?? 0);
      }
    });
    if (norm.dGain) floats(norm.dGain).set(gainSums);
    if (norm.dBias) floats(norm.dBias).set(biasSums);
  },
} satisfies Partial<FusedKernels>;

type Floats = ReturnType<typeof floats>;
type Five = [Floats, Floats, Floats, Floats, Floats];

/** Calls `body` with the number of each group of each sample, and place and channel of all its elements. */
function forGroups(
  { x: { shape }, groups }: GroupNormRule,
  body: (group: number, places: readonly (readonly [at: number, channel: number])[]) => void,
): void {
  const [batch = 1, channels = 1] = [shape[0], shape.at(-1)];
  const positions = elementCount(shape.slice(1, -1));
  const each = channels / groups;
  for (let group = 0; group < batch * groups; group++) {
    const [sample, first] = [Math.floor(group / groups), (group % groups) * each];
    const places = Array.from({ length: positions * each }, (_, i): [number, number] => {
      const channel = first + (i % each);
      return [(sample * positions + Math.floor(i / each)) * channels + channel, channel];
    });
    body(group, places);
  }
}
