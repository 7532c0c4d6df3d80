import { expect, test } from "vitest";
import { SettingsError } from "../core/errors.ts";
import { prefixWindows } from "./prefix-windows.ts";
import { memoryTokens } from "./token-file.ts";
import { ignoredTarget, trainingWindows } from "./windows.ts";

const file = memoryTokens(Int32Array.from({ length: 500 }, (_, i) => i));
const settings = { sources: [{ file, weight: 1 }], context: 8, seed: 3 };

test("what is inside the prefix is not predicted, everything after it is", () => {
  const [batch] = prefixWindows(settings).batchAt(0, { batchSize: 100 });
  const [plain] = trainingWindows(settings).batchAt(0, { batchSize: 100 });
  expect(batch!.inputs).toEqual(plain!.inputs);
  expect(new Set(batch!.prefixLengths)).toEqual(new Set([1, 2, 3, 4, 5, 6, 7]));
  for (let row = 0; row < 100; row++) {
    const prefix = batch!.prefixLengths[row]!;
    const targets = [...batch!.targets.subarray(8 * row, 8 * row + 8)];
    const all = [...plain!.targets.subarray(8 * row, 8 * row + 8)];
    expect(targets).toEqual([...new Array<number>(prefix - 1).fill(ignoredTarget), ...all.slice(prefix - 1)]);
  }
});

test("are a function of the step, whatever the micro-batches and ranks", () => {
  const whole = prefixWindows(settings).batchAt(5, { batchSize: 8 })[0]!;
  const parts = [0, 1].flatMap((rank) =>
    prefixWindows(settings).batchAt(5, { batchSize: 8, microBatches: 2, rank, ranks: 2 }),
  );
  expect(parts.flatMap((part) => [...part.targets])).toEqual([...whole.targets]);
  expect(parts.flatMap((part) => [...part.prefixLengths])).toEqual([...whole.prefixLengths]);
});

test("a context of one token is refused", () => {
  expect(() => prefixWindows({ ...settings, context: 1 })).toThrow(SettingsError);
});
