import fc from "fast-check";
import { expect, test } from "vitest";
import { SettingsError } from "../core/errors.ts";
import type { EvaluationTokens } from "./evaluation-windows.ts";
import { evaluationWindows } from "./evaluation-windows.ts";
import { memoryTokens } from "./token-file.ts";

const endOfText = 7;

/** Tokens `from`, `from + 1` …, of two characters each. */
function tokens(length: number, end: number | null, from = 100): EvaluationTokens {
  const ids = Int32Array.from({ length }, (_, i) => from + i);
  const info = { characters: 2 * length, bytes: 3 * length, endOfText: end, firstToken: { characters: 2, bytes: 3 } };
  return { ...memoryTokens(ids), info };
}

/** Each prediction as `[input, target]`, in order. */
function predictions(windows: ReturnType<typeof evaluationWindows>, batchSize: number): [number, number][] {
  return [...windows.batches(batchSize)].flatMap(({ inputs, targets }) =>
    [...targets].flatMap((target, i) => (target < 0 ? [] : [[inputs[i]!, target] as [number, number]])),
  );
}

test("with an end-of-text token every token is predicted once, from what precedes it", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 5 }),
      (n, c, b) => {
        const windows = evaluationWindows({ files: [tokens(n, endOfText)], context: c });
        const expected = Array.from({ length: n }, (_, i) => [i === 0 ? endOfText : 99 + i, 100 + i]);
        expect(predictions(windows, b)).toEqual(expected);
        const { predictions: count, characters, bytes, complete } = windows;
        expect({ count, characters, bytes, complete }).toEqual({
          count: n,
          characters: 2 * n,
          bytes: 3 * n,
          complete: true,
        });
      },
    ),
  );
});

test("without one the first token is only read, and its characters are not counted", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 60 }), fc.integer({ min: 1, max: 9 }), (n, context) => {
      const windows = evaluationWindows({ files: [tokens(n, null)], context });
      expect(predictions(windows, 2)).toEqual(Array.from({ length: n - 1 }, (_, i) => [100 + i, 101 + i]));
      expect([windows.predictions, windows.characters, windows.bytes]).toEqual([n - 1, 2 * n - 2, 3 * n - 3]);
    }),
  );
});

test("batches have the asked size but for the last, and padding is ignored", () => {
  const windows = evaluationWindows({ files: [tokens(10, endOfText)], context: 4 });
  const batches = [...windows.batches(2)];
  expect(batches.map(({ batch, time }) => [batch, time])).toEqual([
    [2, 4],
    [1, 4],
  ]);
  expect([...batches[1]!.inputs]).toEqual([107, 108, 0, 0]);
  expect([...batches[1]!.targets]).toEqual([108, 109, -100, -100]);
});

test("several files are read one after the other and counted together", () => {
  const windows = evaluationWindows({ files: [tokens(5, endOfText), tokens(3, endOfText, 200)], context: 4 });
  expect(predictions(windows, 8).map(([, target]) => target)).toEqual([100, 101, 102, 103, 104, 200, 201, 202]);
  expect([windows.predictions, windows.characters]).toEqual([8, 16]);
});

test("a limit takes windows from all over the text, and characters in proportion", () => {
  const windows = evaluationWindows({ files: [tokens(1000, endOfText)], context: 10, maxTokens: 50 });
  expect(
    predictions(windows, 8)
      .map(([, target]) => target)
      .filter((_, i) => i % 10 === 0),
  ).toEqual([100, 300, 500, 700, 900]);
  expect([windows.predictions, windows.characters, windows.complete]).toEqual([50, 100, false]);
  expect(evaluationWindows({ files: [tokens(1000, endOfText)], context: 10, maxTokens: 1000 }).complete).toBe(true);
});

test("refuses a context or limit that is no positive integer", () => {
  const files = [tokens(10, null)];
  expect(() => evaluationWindows({ files, context: 0 })).toThrow("context: must be a positive integer, got 0");
  expect(() => evaluationWindows({ files, context: 4, maxTokens: 0 })).toThrow(SettingsError);
});
