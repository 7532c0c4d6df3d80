import { expect, test } from "vitest";
import { CheckpointError, ShapeError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { WeightFormatName } from "./weight-formats.ts";
import { storedBytes, weightFormats } from "./weight-formats.ts";

/** Largest error, as a part of the largest number of its block: half a step of 127 and what rounds the scale, a step of 8, and half a last bit. */
const bounds: Readonly<Record<WeightFormatName, number>> = { bfloat16: 2 ** -8, q8_0: 1 / 225, q4_0: 1 / 7.9 };

test.each(Object.entries(bounds))("%s rounds numbers within its bound", (name, bound) => {
  const format = weightFormats[name as WeightFormatName];
  const values = new Random(1).normal(4096, 0.02);
  const raw = new Uint8Array(storedBytes(name as WeightFormatName, values.length));
  const decoded = new Float32Array(values.length);
  format.encode("weights", values, raw);
  format.decode(raw, decoded);
  const length = Math.max(format.block, 32);
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
  const values = new Float32Array(32);
  values[7] = Number.NaN;
  expect(() => weightFormats[name].encode("h.0.weight", values, new Uint8Array(storedBytes(name, 32)))).toThrow(
    CheckpointError,
  );
});

test("bytes of elements, and of parts of blocks", () => {
  expect([storedBytes("float32", 3), storedBytes("int32", 3), storedBytes("bfloat16", 3)]).toEqual([12, 12, 6]);
  expect([storedBytes("q8_0", 64), storedBytes("q4_0", 64)]).toEqual([68, 36]);
  expect(() => storedBytes("q4_0", 48)).toThrow(ShapeError);
});
