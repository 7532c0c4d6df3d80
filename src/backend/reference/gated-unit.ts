import type { Activation } from "../functions.ts";
import type { FusedKernels } from "../fused-kernels.ts";
import type { View } from "../storage.ts";
import { floats, rowsOf } from "./storage.ts";
import { unaryFunctions } from "./unary.ts";

/** Gated linear units, once their two linear maps are done. */
export const gatedUnits = {
  gatedUnit(kind: Activation, x: View, out: View): void {
    const { value } = unaryFunctions[kind];
    const [from, to] = [floats(x), floats(out)];
    const [rows, width] = rowsOf(out);
    for (let row = 0; row < rows; row++) {
      const [gate, at] = [2 * row * width, row * width];
      for (let i = 0; i < width; i++) to[at + i] = value(from[gate + i]!) * from[gate + width + i]!;
    }
  },
  gatedUnitGrad(kind: Activation, x: View, dy: View, dx: View): void {
    const { value, slope } = unaryFunctions[kind];
    const [at, from, to] = [floats(x), floats(dy), floats(dx)];
    const [rows, width] = rowsOf(dy);
    for (let row = 0; row < rows; row++) {
      const start = 2 * row * width;
      for (let i = 0; i < width; i++) {
        const [gate, linear, d] = [at[start + i]!, at[start + width + i]!, from[row * width + i]!];
        to[start + i] = d * linear * slope(gate);
        to[start + width + i] = d * value(gate);
      }
    }
  },
} satisfies Partial<FusedKernels>;
