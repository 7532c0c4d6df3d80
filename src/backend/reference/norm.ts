import type { FusedKernels, LayerNormGrad, NormGrad } from "../fused-kernels.ts";
import type { View } from "../storage.ts";
import type { Floats } from "./storage.ts";
import { floats, rowsOf } from "./storage.ts";

/** Normalisations of rows, with their statistics in float64. */
export const norms = {
  layerNorm(x: View, gain: View | null, bias: View | null, epsilon: number, out: View, mean: View, rstd: View): void {
    const [from, to] = [floats(x), floats(out)];
    const [means, rstds] = [floats(mean), floats(rstd)];
    const [rows, width] = rowsOf(x);
    const [g, b] = [factors(gain, rows, width, 1), factors(bias, rows, width, 0)];
    for (let row = 0; row < rows; row++) {
      const start = row * width;
      let sum = 0;
      for (let i = 0; i < width; i++) sum += from[start + i]!;
      const m = sum / width;
      let squares = 0;
      for (let i = 0; i < width; i++) squares += (from[start + i]! - m) ** 2;
      const r = 1 / Math.sqrt(squares / width + epsilon);
      for (let i = 0; i < width; i++) to[start + i] = (from[start + i]! - m) * r * g(row, i) + b(row, i);
      means[row] = m;
      rstds[row] = r;
    }
  },
  layerNormGrad(operands: LayerNormGrad): void {
    normGrad(operands, floats(operands.mean));
    if (!operands.dBias) return;
    const dy = floats(operands.dy);
    const dBias = floats(operands.dBias);
    const [rows, width] = rowsOf(operands.x);
    const sums = new Float64Array(dBias.length);
    for (let row = 0; row < rows; row++) {
      const at = sampleOf(row, rows, dBias.length / width) * width;
      for (let i = 0; i < width; i++) sums[at + i]! += dy[row * width + i]!;
    }
    dBias.set(sums);
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

/** Which of `samples` stretches of rows a row is in. */
function sampleOf(row: number, rows: number, samples: number): number {
  return Math.floor((row * samples) / rows);
}

/** The number of a gain or bias, of one row or one for each sample, that meets element (row, i); `rest` without one. */
function factors(view: View | null, rows: number, width: number, rest: number): (row: number, i: number) => number {
  if (!view) return () => rest;
  const values = floats(view);
  return (row, i) => values[sampleOf(row, rows, values.length / width) * width + i]!;
}

/**
 * With n = (x − mean) · rstd the normalised row and dn = dy ⊙ gain: dx = rstd · (dn − mean(dn) − n · mean(dn ⊙ n)),
 * dGain = Σ rows dy ⊙ n, over the rows that a row of gain serves. Root-mean-square norms subtract no mean, so that term is missing.
 */
function normGrad(
  { x, gain, rstd, dy, residual, dx, dGain }: Omit<NormGrad, "gain"> & { gain: View | null },
  mean: Floats | null,
): void {
  const [rows, width] = rowsOf(x);
  const [at, rstds, from, to] = [floats(x), floats(rstd), floats(dy), floats(dx)];
  const g = factors(gain, rows, width, 1);
  const carried = residual ? floats(residual) : null;
  const gainSums = new Float64Array(dGain ? floats(dGain).length : width);
  const normalised = new Float64Array(width);
  for (let row = 0; row < rows; row++) {
    const start = row * width;
    const [m, r] = [mean?.[row] ?? 0, rstds[row]!];
    const own = sampleOf(row, rows, gainSums.length / width) * width;
    let [sum, dot] = [0, 0];
    for (let i = 0; i < width; i++) {
      normalised[i] = (at[start + i]! - m) * r;
      const dn = from[start + i]! * g(row, i);
      sum += dn;
      dot += dn * normalised[i]!;
      gainSums[own + i]! += from[start + i]! * normalised[i]!;
    }
    const centre = mean ? sum / width : 0;
    for (let i = 0; i < width; i++) {
      const gradient = r * (from[start + i]! * g(row, i) - centre - (normalised[i]! * dot) / width);
      to[start + i] = gradient + (carried?.[start + i] ?? 0);
    }
  }
  if (dGain) floats(dGain).set(gainSums);
}
