import type { Draw } from "../../core/random.ts";
import { DrawReader, philox } from "../../core/random.ts";
import type { Kernels } from "../kernels.ts";
import type { View } from "../storage.ts";
import { floats } from "./storage.ts";

/** Random zeroing and random numbers. */
export const draws = {
  dropout(x: View, rate: number, draw: Draw, out: View): void {
    const [from, to] = [floats(x), floats(out)];
    const reader = new DrawReader(draw);
    for (let i = 0; i < to.length; i++) to[i] = reader.word() < rate * 2 ** 32 ? 0 : from[i]! / (1 - rate);
  },
  normal(draw: Draw, out: View): void {
    const to = floats(out);
    const reader = new DrawReader(draw);
    for (let i = 0; i < to.length; i += 2) {
      const radius = Math.sqrt(-2 * Math.log((reader.word() + 1) / 2 ** 32));
      const angle = reader.uniform() * 2 * Math.PI;
      to[i] = radius * Math.cos(angle);
      if (i + 1 < to.length) to[i + 1] = radius * Math.sin(angle);
    }
  },
} satisfies Partial<Kernels>;

/** Word `index` of a draw, wherever it is. */
export function wordAt(draw: Draw, index: number): number {
  const block = Math.floor(index / 4);
  const words = new Uint32Array(4);
  philox([block | 0, Math.floor(block / 2 ** 32), draw.stream, 0], draw.key, words);
  return words[index % 4]!;
}
