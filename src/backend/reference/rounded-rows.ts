import { float16Of, float16Value } from "../../core/float-formats.ts";
import { superBlock } from "../../core/k-decoding.ts";
import type { WeightFormatName } from "../storage.ts";
import { weightFormats } from "../weight-formats.ts";
import type { Floats } from "./storage.ts";

/** Where blocks have minima: what multiplies these is rounded for itself. */
const withMinima: readonly WeightFormatName[] = ["q4_1", "q5_1"];

/**
 * Rows as ggml rounds them before it multiplies them with blocks of weights: every block of as many numbers to 127 steps
 * up to the one of largest magnitude. The step is kept as float16 where blocks are of 32.
 */
export interface RoundedRows {
  readonly values: Float64Array;
  /**
   * What the minima of blocks are multiplied by, a number for each block, less what `values` make of it: ggml rounds that
   * sum to a float16. `null` where it does not.
   */
  readonly excess: Float64Array | null;
}

/** `rows` in whole blocks of a format. */
export function roundedRows(format: WeightFormatName, rows: Floats): RoundedRows {
  const { block } = weightFormats[format];
  const values = new Float64Array(rows.length);
  const excess = withMinima.includes(format) ? new Float64Array(rows.length / block) : null;
  for (let at = 0; at < rows.length; at += block) {
    const difference = roundBlock(rows.subarray(at, at + block), values.subarray(at, at + block));
    if (excess) excess[at / block] = difference;
  }
  return { values, excess };
}

/** Rounds a block, and gives by how much its sum as float16 is above the sum of what came out. */
function roundBlock(from: Floats, to: Float64Array): number {
  let largest = 0;
  for (const value of from) largest = Math.max(largest, Number.isFinite(value) ? Math.abs(value) : Number.NaN);
  const [step, by] = [Math.fround(largest / 127), largest > 1e-36 ? Math.fround(127 / largest) : 0];
  const isLong = from.length === superBlock;
  const kept = isLong ? (by === 0 ? 0 : Math.fround(1 / by)) : asHalf(step);
  let sum = 0;
  for (const [i, value] of from.entries()) {
    const whole = nearestEven(Math.fround(value * by));
    sum += whole;
    to[i] = Number.isNaN(largest) ? Number.NaN : whole * kept;
  }
  return asHalf(Math.fround(step * sum)) - kept * sum;
}

/** The nearest integer, ties to even. */
function nearestEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/** The nearest float16; unchanged beyond its range. */
function asHalf(value: number): number {
  return Math.abs(value) < 65520 ? float16Value(float16Of(value)) : value;
}
