import type { FusedKernels, Rotary } from "../fused-kernels.ts";
import { floats, integers, rowsOf } from "./storage.ts";

/** Rotary positions. */
export const rotaries = {
  rotary({ x, positions, cos, sin, heads, inverse, out }: Rotary): void {
    const [from, to, cosines, sines] = [floats(x), floats(out), floats(cos), floats(sin)];
    const places = positions && integers(positions);
    const [rows, width] = rowsOf(x);
    const time = x.shape[1]!;
    const half = cos.shape[1]!;
    if (x.storage !== out.storage || x.offset !== out.offset) to.set(from);
    for (let row = 0; row < rows; row++) {
      const angle = (places ? places[row]! : row % time) * half;
      for (let head = 0; head < heads; head++) {
        const start = row * width + head * 2 * half;
        for (let i = 0; i < half; i++) {
          const [c, s] = [cosines[angle + i]!, inverse ? -sines[angle + i]! : sines[angle + i]!];
          const [a, b] = [from[start + i]!, from[start + half + i]!];
          to[start + i] = a * c - b * s;
          to[start + half + i] = b * c + a * s;
        }
      }
    }
  },
} satisfies Partial<FusedKernels>;
