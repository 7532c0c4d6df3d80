import type { Backend } from "../backend/kernels.ts";
import type { RotaryAngles } from "../tensor/ops/rotary.ts";
import { Tensor } from "../tensor/tensor.ts";

/** How angles change when a model reads further than it was first trained to. */
export type RotaryScaling =
  /** All positions move closer together. Chen et al. (2023), arXiv:2306.15595. */
  | { readonly kind: "linear"; readonly factor: number }
  /** Only slow pairs do, those that turn less than `lowFrequencyFactor` times in `originalContext`; as in Llama 3. */
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    };

/** Angles of rotary positions, computed once and as far as they have been needed. */
export class RotaryTable {
  readonly #backend: Backend;
  /** Angle step of each pair, in radians per position. */
  readonly #frequencies: Float64Array;
  #cos: Tensor;
  #sin: Tensor;

  /** As {@link rotaryFrequencies}. */
  constructor(backend: Backend, headDim: number, base: number, scaling: RotaryScaling | null) {
    this.#backend = backend;
    this.#frequencies = rotaryFrequencies(headDim, base, scaling);
    this.#cos = this.#table(64, Math.cos);
    this.#sin = this.#table(64, Math.sin);
  }

  /** Angles for `time` positions from 0 on, or for the given ones, `[batch · time]`. */
  angles(time: number, positions: Int32Array | null): RotaryAngles {
    const needed = positions ? positions.reduce((most, position) => Math.max(most, position + 1), 0) : time;
    if (needed > this.#cos.axis(0)) {
      // The older tables may still be on a tape: they are given back when nothing refers to them.
      const count = 2 ** Math.ceil(Math.log2(needed));
      this.#cos = this.#table(count, Math.cos);
      this.#sin = this.#table(count, Math.sin);
    }
    const ids = positions && Tensor.from(this.#backend, positions, [positions.length]);
    return { cos: this.#cos, sin: this.#sin, positions: ids };
  }

  #table(count: number, f: (angle: number) => number): Tensor {
    const half = this.#frequencies.length;
    const values = new Float32Array(count * half);
    for (let position = 0; position < count; position++) {
      this.#frequencies.forEach((frequency, i) => {
        values[position * half + i] = f(position * frequency);
      });
    }
    return Tensor.from(this.#backend, values, [count, half]).keep();
  }
}

/** θᵢ = base^(−2i / headDim) radians a position for each of the headDim/2 pairs, then scaled. */
export function rotaryFrequencies(headDim: number, base: number, scaling: RotaryScaling | null): Float64Array {
  const half = headDim / 2;
  return Float64Array.from({ length: half }, (_, i) => scaled(base ** (-i / half), scaling));
}

function scaled(frequency: number, scaling: RotaryScaling | null): number {
  if (!scaling) return frequency;
  if (scaling.kind === "linear") return frequency / scaling.factor;
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling;
  const turns = (originalContext * frequency) / (2 * Math.PI);
  const unscaled = Math.min(Math.max((turns - low) / (high - low), 0), 1);
  return frequency * (unscaled + (1 - unscaled) / factor);
}
