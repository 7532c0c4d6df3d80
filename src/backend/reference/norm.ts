import type { FusedKernels, NormGrad } from "../fused-kernels.ts";
import type { View } from "../storage.ts";
import type { Floats } from "./storage.ts";
import { floats, rowsOf } from "./storage.ts";

/** Normalisations of rows, with their statistics in float64. */
export const norms = {
  layerNorm(x: View, gain: View, bias: View, epsilon: number, out: View, mean: View, rstd: View): void {
    const [from, g, b, to] = [floats(x), floats(gain), floats(bias), floats(out)];
    const [means, rstds] = [floats(mean), floats(rstd)];
    const [rows, width] = rowsOf(x);
    for (let row = 0; row < rows; row++) {
      const start = row * width;
      let sum = 0;
      for (let i = 0; i < width; i++) sum += from[start + i]!;
      const m = sum / width;
      let squares = 0;
      for (let i = 0; i < width; i++) squares += (from[start + i]! - m) ** 2;
      const r = 1 / Math.sqrt(squares / width + epsilon);
      for (let i = 0; i < width; i++) to[start + i] = (from[start + i]! - m) * r * g[i]! + b[i]!;
      means[row] = m;
      rstds[row] = r;
    }
  },
  layerNormGrad(operands: NormGrad & { readonly mean: View; readonly dBias: View | null }): void {
    normGrad(operands, floats(operands.mean));
    if (!operands.dBias) return;
    const dy = floats(operands.dy);
    const dBias = floats(operands.dBias);
    const [rows, width] = rowsOf(operands.x);
    for (let i = 0; i < width; i++) {
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += dy[row * width + i]!;
      dBias[i] = sum;
    }
  },
  rmsNorm(x: View, gain: View, epsilon: number, out: View, rstd: View): void {
    const [from, g, to, rstds] = [floats(x), floats(gain), floats(out), floats(rstd)];
    const [rows, width] = rowsOf(x);
    for (let row = 0; row < rows; row++) {
      const start = row * width;
      let squares = 0;
      for (let i = 0; i < width; i++) squares += from[start + i]! ** 2;
      const r = 1 / Math.sqrt(squares / width + epsilon);
      for (let i = 0; i < width; i++) to[start + i] = from[start + i]! * r * g[i]!;
      rstds[row] = r;
    }
  },
  rmsNormGrad: (operands: NormGrad) => normGrad(operands, null),
} satisfies Partial<FusedKernels>;

/**
 * With n = (x − mean) · rstd the normalised row and dn = dy ⊙ gain: dx = rstd · (dn − mean(dn) − n · mean(dn ⊙ n)),
 * dGain = Σ rows dy ⊙ n. Root-mean-square norms subtract no mean, so that term is missing.
 */
function normGrad({ x, gain, rstd, dy, residual, dx, dGain }: NormGrad, mean: Floats | null): void {
  const [rows, width] = rowsOf(x);
  const [at, g, rstds, from, to] = [floats(x), floats(gain), floats(rstd), floats(dy), floats(dx)];
  const carried = residual ? floats(residual) : null;
  const gainSums = new Float64Array(width);
  const normalised = new Float64Array(width);
  for (let row = 0; row < rows; row++) {
    const start = row * width;
    const [m, r] = [mean?.[row] ?? 0, rstds[row]!];
    let [sum, dot] = [0, 0];
    for (let i = 0; i < width; i++) {
      normalised[i] = (at[start + i]! - m) * r;
      const dn = from[start + i]! * g[i]!;
      sum += dn;
      dot += dn * normalised[i]!;
      gainSums[i]! += from[start + i]! * normalised[i]!;
    }
    const centre = mean ? sum / width : 0;
    for (let i = 0; i < width; i++) {
      const gradient = r * (from[start + i]! * g[i]! - centre - (normalised[i]! * dot) / width);
      to[start + i] = gradient + (carried?.[start + i] ?? 0);
    }
  }
  if (dGain) floats(dGain).set(gainSums);
}
