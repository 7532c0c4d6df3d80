import { expect, test } from "vitest";
import { DataError } from "../core/errors.ts";
import { continuedWindows, stretchFor } from "./continued-windows.ts";
import { memoryTokens } from "./token-file.ts";

const file = memoryTokens(Int32Array.from({ length: 400 }, (_, i) => i));
const settings = { sources: [{ file, weight: 1 }], context: 4, stretch: 5, seed: 3 };

test("a row goes on where it ended in the step before, until its stretch is over", () => {
  const windows = continuedWindows(settings);
  let last: number[] = [];
  for (let step = 0; step < 20; step++) {
    const [batch] = windows.batchAt(step, { batchSize: 3 });
    expect(batch!.begins).toBe(step % 5 === 0);
    const rows = [0, 1, 2].map((row) => [...batch!.inputs.subarray(4 * row, 4 * row + 4)]);
    if (!batch!.begins) expect(rows.map((row) => row[0])).toEqual(last);
    expect([...batch!.targets]).toEqual([...batch!.inputs].map((id) => id + 1));
    last = rows.map((row) => row[3]! + 1);
  }
});

test("an epoch takes every stretch once", () => {
  const { windows, batchAt } = continuedWindows(settings);
  const seen = Array.from({ length: windows }, (_, step) => batchAt(step, { batchSize: 1 })[0]!.inputs[0]!);
  expect(new Set(seen).size).toBe(windows);
});

test("are a function of the step, whatever the micro-batches; each knows which part it is", () => {
  const whole = continuedWindows(settings).batchAt(7, { batchSize: 4 })[0]!;
  const parts = continuedWindows(settings).batchAt(7, { batchSize: 4, microBatches: 2 });
  expect(parts.flatMap(({ inputs }) => [...inputs])).toEqual([...whole.inputs]);
  expect(parts.map(({ part }) => part)).toEqual([0, 1]);
});

test("a stretch leaves every row text of its own", () => {
  expect(stretchFor(1000, 10, 4)).toBe(20);
  expect(stretchFor(30, 10, 4)).toBe(1);
  expect(stretchFor(1e9, 10, 4)).toBe(64);
  expect(() => continuedWindows({ ...settings, stretch: 100 })).toThrow(DataError);
});
