import { DataError } from "../../core/errors.ts";
import type { FusedKernels } from "../fused-kernels.ts";
import type { View } from "../storage.ts";
import { logSumExp } from "./softmax.ts";
import type { Floats } from "./storage.ts";
import { floats, integers, rowsOf } from "./storage.ts";

/** Losses of rows of logits. */
export const losses = {
  crossEntropy(logits: View, targets: View, losses: View, dLogits: View | null, scale: number): void {
    const [from, ids, to] = [floats(logits), integers(targets), floats(losses)];
    const gradient = dLogits ? floats(dLogits) : null;
    const [rows, classes] = rowsOf(logits);
    for (let row = 0; row < rows; row++) {
      const [start, target] = [row * classes, ids[row]!];
      if (target >= classes)
        throw new DataError(`crossEntropy: target ${target} in row ${row} is not below ${classes}`);
      const lse = logSumExp(from, start, classes);
      to[row] = target < 0 ? 0 : lse - from[start + target]!;
      if (gradient) gradRow(from, lse, target, scale, start, gradient.subarray(start, start + classes));
    }
  },
} satisfies Partial<FusedKernels>;

/** (softmax − onehot) · scale for one row, which may overwrite its own logits; 0 for a row left out. */
function gradRow(logits: Floats, lse: number, target: number, scale: number, start: number, out: Floats): void {
  if (target < 0) out.fill(0);
  else
    for (let i = 0; i < out.length; i++) out[i] = (Math.exp(logits[start + i]! - lse) - (i === target ? 1 : 0)) * scale;
}
