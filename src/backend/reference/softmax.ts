import type { Kernels } from "../kernels.ts";
import type { View } from "../storage.ts";
import type { Floats } from "./storage.ts";
import { floats, rowsOf } from "./storage.ts";

/** log Σ exp of `count` numbers, shifted by the largest so that nothing overflows; −∞ when there are none. */
export function logSumExp(values: Floats, start: number, count: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) max = Math.max(max, values[start + i]!);
  if (max === Number.NEGATIVE_INFINITY) return max;
  let sum = 0;
  for (let i = 0; i < count; i++) sum += Math.exp(values[start + i]! - max);
  return max + Math.log(sum);
}

/** Kernels over the rows of the last axis. */
export const softmaxes = {
  softmax(x: View, out: View): void {
    const [from, to] = [floats(x), floats(out)];
    const [rows, width] = rowsOf(x);
    for (let row = 0; row < rows; row++) {
      const lse = logSumExp(from, row * width, width);
      for (let i = row * width; i < (row + 1) * width; i++) to[i] = Math.exp(from[i]! - lse);
    }
  },
  softmaxGrad(y: View, dy: View, dx: View): void {
    const [at, from, to] = [floats(y), floats(dy), floats(dx)];
    const [rows, width] = rowsOf(y);
    for (let row = 0; row < rows; row++) {
      let dot = 0;
      for (let i = row * width; i < (row + 1) * width; i++) dot += from[i]! * at[i]!;
      for (let i = row * width; i < (row + 1) * width; i++) to[i] = at[i]! * (from[i]! - dot);
    }
  },
  logSoftmax(x: View, out: View): void {
    const [from, to] = [floats(x), floats(out)];
    const [rows, width] = rowsOf(x);
    for (let row = 0; row < rows; row++) {
      const lse = logSumExp(from, row * width, width);
      for (let i = row * width; i < (row + 1) * width; i++) to[i] = from[i]! - lse;
    }
  },
  logSoftmaxGrad(y: View, dy: View, dx: View): void {
    const [at, from, to] = [floats(y), floats(dy), floats(dx)];
    const [rows, width] = rowsOf(y);
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let i = row * width; i < (row + 1) * width; i++) sum += from[i]!;
      for (let i = row * width; i < (row + 1) * width; i++) to[i] = from[i]! - Math.exp(at[i]!) * sum;
    }
  },
} satisfies Partial<Kernels>;
