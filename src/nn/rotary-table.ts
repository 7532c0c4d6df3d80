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
    }
  /**
   * Pairs between `betaSlow` and `betaFast` turns in `originalContext` are blended, slower ones move closer, and all
   * angles' cosines and sines are multiplied by `magnitude`. Peng et al. (2023), section 3, arXiv:2309.00071.
   */
  | {
      readonly kind: "yarn";
      readonly factor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly originalContext: number;
      readonly magnitude: number;
      /** Whether the blend begins and ends at whole pairs. */
      readonly truncates: boolean;
    }
  /**
   * Every pair has a divisor of its own, another one for texts longer than `originalContext`. Ding et al. (2024),
   * arXiv:2402.13753; as in Phi-3.
   */
  | {
      readonly kind: "longrope";
      readonly shortFactors: readonly number[];
      readonly longFactors: readonly number[];
      readonly originalContext: number;
      readonly magnitude: number;
    };

/** How the heads of a layer turn by position. */
export interface RotaryRule {
  /** Pair i of the pairs that turn does so by base^(−2i / turned) radians a position; `rope_theta` of config.json. */
  readonly base: number;
  /** Dimensions of a head that turn; the others are as they are. Even. */
  readonly turned: number;
  readonly scaling: RotaryScaling | null;
}

/** Cosines and sines of every pair at positions 0, 1, …. */
interface Angles {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** Angles of rotary positions, computed once and as far as they have been needed. */
export class RotaryTable {
  readonly #backend: Backend;
  readonly #headDim: number;
  readonly #rule: RotaryRule;
  readonly #tables = new Map<boolean, Angles>();

  /** Pairs beyond those that turn have the angle 0. */
  constructor(backend: Backend, headDim: number, rule: RotaryRule) {
    this.#backend = backend;
    this.#headDim = headDim;
    this.#rule = rule;
  }

  /**
   * Angles for `time` positions from 0 on, or for the given ones, `[batch · time]`.
   *
   * @param renew - The positions of the next pass, where passes are alike.
   */
  angles(time: number, positions: Int32Array | null, renew?: (() => Int32Array) | undefined): RotaryAngles {
    const needed = positions ? endOf(positions) : time;
    const isLong = this.#isLong(needed);
    let table = this.#tables.get(isLong);
    if (!table || needed > table.cos.axis(0)) {
      // The older tables may still be on a tape: they are given back when nothing refers to them.
      table = this.#tabulate(Math.max(64, 2 ** Math.ceil(Math.log2(needed))), isLong);
      this.#tables.set(isLong, table);
    }
    if (!positions) return { ...table, positions: null };
    const used = table;
    // A pass that was captured reads this table by its memory, which it does not hold: with another it is made anew.
    const next = (): Int32Array | null => {
      const later = renew?.() ?? new Int32Array(0);
      const isLater = this.#isLong(endOf(later));
      return isLater === isLong && this.#tables.get(isLong) === used && endOf(later) <= used.cos.axis(0) ? later : null;
    };
    return { ...table, positions: Tensor.given(this.#backend, positions, [positions.length], renew && next) };
  }

  #isLong(end: number): boolean {
    const { scaling } = this.#rule;
    return scaling?.kind === "longrope" && end > scaling.originalContext;
  }

  #tabulate(count: number, isLong: boolean): Angles {
    const frequencies = rotaryFrequencies(this.#rule, isLong);
    const magnitude = magnitudeOf(this.#rule.scaling);
    const half = this.#headDim / 2;
    const table = (f: (angle: number) => number): Tensor => {
      const values = new Float32Array(count * half).fill(f(0));
      for (let position = 0; position < count; position++) {
        frequencies.forEach((frequency, i) => {
          values[position * half + i] = magnitude * f(position * frequency);
        });
      }
      return Tensor.from(this.#backend, values, [count, half]).keep();
    };
    return { cos: table(Math.cos), sin: table(Math.sin) };
  }
}

function endOf(positions: Int32Array): number {
  return positions.reduce((most, position) => Math.max(most, position + 1), 0);
}

/** What cosines and sines are multiplied by. */
function magnitudeOf(scaling: RotaryScaling | null): number {
  return scaling !== null && "magnitude" in scaling ? scaling.magnitude : 1;
}

/** Angle step of each pair that turns, in radians a position: θᵢ = base^(−2i / turned), then scaled. */
export function rotaryFrequencies({ base, turned, scaling }: RotaryRule, isLong = false): Float64Array {
  const half = turned / 2;
  return Float64Array.from({ length: half }, (_, pair) => {
    const frequency = base ** (-pair / half);
    if (scaling === null) return frequency;
    if (scaling.kind === "linear") return frequency / scaling.factor;
    if (scaling.kind === "longrope") {
      return frequency / ((isLong ? scaling.longFactors : scaling.shortFactors)[pair] ?? 1);
    }
    const own = unscaledShare(scaling, pair, { base, turned, frequency });
    return frequency * (own + (1 - own) / scaling.factor);
  });
}

/** How much of a pair's own frequency remains, from 0 to 1. */
function unscaledShare(
  scaling: Extract<RotaryScaling, { kind: "llama3" | "yarn" }>,
  pair: number,
  { base, turned, frequency }: { base: number; turned: number; frequency: number },
): number {
  const { originalContext } = scaling;
  if (scaling.kind === "llama3") {
    const turns = (originalContext * frequency) / (2 * Math.PI);
    const { lowFrequencyFactor: low, highFrequencyFactor: high } = scaling;
    return clamp((turns - low) / (high - low));
  }
  // The pair that turns `turns` times in the original context.
  const pairOf = (turns: number): number =>
    (turned * Math.log(originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const [fast, slow] = [pairOf(scaling.betaFast), pairOf(scaling.betaSlow)];
  const first = Math.max(scaling.truncates ? Math.floor(fast) : fast, 0);
  const last = Math.min(scaling.truncates ? Math.ceil(slow) : slow, turned - 1);
  return 1 - clamp((pair - first) / (last === first ? 0.001 : last - first));
}

function clamp(x: number): number {
  return Math.min(Math.max(x, 0), 1);
}
