import { expect, test } from "vitest";
import { CheckpointError, ShapeError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { WeightFormatName } from "./storage.ts";
import { firstNotFinite, storedBytes, weightFormats } from "./weight-formats.ts";

/**
 * Largest error, as a part of the largest number of 32 neighbours, or of its block: half a last bit of floats; half a step of
 * 127; a whole step of 8 or 16, since the number of largest magnitude takes the end that has one more; half a step of 15 or
 * 31 that reach from the least number to the largest, up to twice its magnitude apart; and what float16 does to scales.
 */
const bounds: Readonly<Record<WeightFormatName, number>> = {
  ...{
    bfloat16: 2 ** -8,
    float16: 2 ** -11,
    q8_0: 1 / 225,
    q4_0: 1 / 7.9,
    q4_1: 1 / 14.9,
    q5_0: 1 / 15.9,
    q5_1: 1 / 30.8,
  },
  ...{ q4_k: 1 / 9, q5_k: 1 / 18, q6_k: 1 / 30 },
};

test.each(Object.entries(bounds))("%s rounds numbers within its bound", (name, bound) => {
  const format = weightFormats[name as WeightFormatName];
  const values = new Random(1).normal(4096, 0.02);
  const raw = new Uint8Array(storedBytes(name as WeightFormatName, values.length));
  const decoded = new Float32Array(values.length);
  format.encode("weights", values, raw);
  format.decode(raw, decoded);
  const length = 32;
  let worst = 0;
  for (let start = 0; start < values.length; start += length) {
    const largest = Math.max(...values.subarray(start, start + length).map(Math.abs));
    for (let i = start; i < start + length; i++) {
      worst = Math.max(worst, Math.abs((decoded[i] ?? 0) - (values[i] ?? 0)) / largest);
    }
  }
  expect(worst).toBeLessThan(bound);
  expect(worst).toBeGreaterThan(bound / 4);
});

test.each(Object.keys(bounds) as WeightFormatName[])("%s refuses what is no number", (name) => {
  const values = new Float32Array(256);
  values[39] = Number.NaN;
  const raw = new Uint8Array(storedBytes(name, 256));
  expect(() => weightFormats[name].encode("h.0.weight", values, raw)).toThrow(CheckpointError);
});

test.each(Object.keys(bounds) as WeightFormatName[])("of %s what is no number is found by its scale", (name) => {
  const { block, bytes, scales, encode } = weightFormats[name];
  const raw = new Uint8Array(storedBytes(name, 1024));
  encode("weights", new Random(2).normal(1024, 0.02), raw);
  expect(firstNotFinite(name, raw)).toBe(-1);
  for (const scale of scales) {
    const damaged = raw.slice();
    damaged.set([0x80, 0x7f], (512 / block) * bytes + scale); // infinite as bfloat16, NaN as float16
    expect(firstNotFinite(name, damaged)).toBe(512);
  }
});

test("bytes of elements, and of parts of blocks", () => {
  expect([storedBytes("float32", 3), storedBytes("int32", 3), storedBytes("bfloat16", 3)]).toEqual([12, 12, 6]);
  expect([storedBytes("q8_0", 64), storedBytes("q4_0", 64), storedBytes("q4_k", 512)]).toEqual([68, 36, 288]);
  expect(() => storedBytes("q4_0", 48)).toThrow(ShapeError);
});
