import type { Draw } from "../../core/random.ts";
import { DrawReader, philox } from "../../core/random.ts";
import type { Kernels } from "../kernels.ts";
import type { View } from "../storage.ts";
import { floats } from "./storage.ts";

/** Random zeroing. */
export const dropouts = {
  dropout(x: View, rate: number, draw: Draw, out: View): void {
    const [from, to] = [floats(x), floats(out)];
    const reader = new DrawReader(draw);
    for (let i = 0; i < to.length; i++) to[i] = reader.word() < rate * 2 ** 32 ? 0 : from[i]! / (1 - rate);
  },
} satisfies Partial<Kernels>;

/** Word `index` of a draw, wherever it is. */
export function wordAt(draw: Draw, index: number): number {
  const block = Math.floor(index / 4);
  const words = new Uint32Array(4);
  philox([block | 0, Math.floor(block / 2 ** 32), draw.stream, 0], draw.key, words);
  return words[index % 4]!;
}
