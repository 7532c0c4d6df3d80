import type { Kernels } from "../kernels.ts";
import type { View } from "../storage.ts";
import { floats, integers, rowsOf } from "./storage.ts";

/** Kernels that make one number of many. Sums are kept in float64. */
export const reductions = {
  sum(x: View, outer: number, axis: number, inner: number, out: View): void {
    const [from, to] = [floats(x), floats(out)];
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        let sum = 0;
        for (let a = 0; a < axis; a++) sum += from[(o * axis + a) * inner + i]!;
        to[o * inner + i] = sum;
      }
    }
  },
  max(x: View, outer: number, axis: number, inner: number, out: View): void {
    const [from, to] = [floats(x), floats(out)];
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        let max = Number.NEGATIVE_INFINITY;
        for (let a = 0; a < axis; a++) max = Math.max(max, from[(o * axis + a) * inner + i]!);
        to[o * inner + i] = max;
      }
    }
  },
  argmax(x: View, out: View): void {
    const [from, to] = [floats(x), integers(out)];
    const [rows, width] = rowsOf(x);
    for (let row = 0; row < rows; row++) {
      let best = 0;
      for (let i = 1; i < width; i++) if (from[row * width + i]! > from[row * width + best]!) best = i;
      to[row] = best;
    }
  },
  globalNorm(views: readonly View[], out: View): void {
    let sum = 0;
    for (const view of views) for (const value of floats(view)) sum += value * value;
    floats(out)[0] = Math.sqrt(sum);
  },
} satisfies Partial<Kernels>;
