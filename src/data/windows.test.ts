import fc from "fast-check";
import { expect, test } from "vitest";
import { DataError, SettingsError } from "../core/errors.ts";
import type { TokenSequence } from "./token-file.ts";
import { memoryTokens } from "./token-file.ts";
import type { TokenBatch } from "./windows.ts";
import { trainingWindows } from "./windows.ts";

/** Tokens that say where they are. */
function counting(length: number, from = 0): TokenSequence {
  return memoryTokens(
    Int32Array.from({ length }, (_, i) => from + i),
    "book.txt",
  );
}

function windowsOf(length: number, context: number, seed = 1): ReturnType<typeof trainingWindows> {
  return trainingWindows({ sources: [{ file: counting(length), weight: 1 }], context, seed });
}

/** First token of each window of some batches. */
function firsts(batches: readonly TokenBatch[]): number[] {
  return batches.flatMap(({ inputs, batch, time }) => Array.from({ length: batch }, (_, row) => inputs[row * time]!));
}

const lengths = fc.record({ context: fc.integer({ min: 1, max: 20 }), extra: fc.nat({ max: 400 }), seed: fc.nat() });

test("a window is a stretch of the text, and each input's target is what follows", () => {
  const { inputs, targets, batch, time } = windowsOf(1000, 16).batchAt(3, { batchSize: 5 })[0]!;
  expect([batch, time, inputs.length]).toEqual([5, 16, 80]);
  inputs.forEach((input, i) => {
    expect(targets[i]).toBe(input + 1);
    if (i % time > 0) expect(input).toBe(inputs[i - 1]! + 1);
  });
});

test("in every epoch each window comes once, and windows do not overlap", () => {
  fc.assert(
    fc.property(lengths, ({ context, extra, seed }) => {
      const length = context + 1 + extra;
      const { windows, batchAt } = windowsOf(length, context, seed);
      expect(windows).toBeGreaterThanOrEqual(Math.max(1, Math.floor(length / context) - 1));
      for (const epoch of [0, 1, 2]) {
        const starts = firsts(batchAt(epoch, { batchSize: windows })).sort((a, b) => a - b);
        expect(starts).toEqual(Array.from({ length: windows }, (_, i) => starts[0]! + i * context));
        expect(starts.at(-1)! + context).toBeLessThan(length);
      }
    }),
  );
});

test("epochs differ in their order and in where windows begin", () => {
  const { windows, batchAt } = windowsOf(64 * 50, 64);
  const epochs = [0, 1, 2, 3].map((epoch) => firsts(batchAt(epoch, { batchSize: windows })));
  expect(new Set(epochs.map((starts) => starts[0]! % 64)).size).toBeGreaterThan(1);
  const orders = epochs.map((starts) => starts.map((start) => Math.floor(start / 64)).join());
  expect(new Set(orders).size).toBe(4);
});

test("every token is trained on sooner or later", () => {
  const { windows, batchAt } = windowsOf(100, 8);
  const seen = new Set<number>();
  for (let epoch = 0; epoch < 200; epoch++) {
    for (const { targets } of batchAt(epoch, { batchSize: windows })) for (const target of targets) seen.add(target);
  }
  expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 99 }, (_, i) => i + 1));
});

test("a step depends on nothing that came before it", () => {
  const running = windowsOf(3000, 10);
  const all = Array.from({ length: 60 }, (_, step) => running.batchAt(step, { batchSize: 7, microBatches: 7 }));
  for (const step of [59, 0, 31]) {
    expect(windowsOf(3000, 10).batchAt(step, { batchSize: 7, microBatches: 7 })).toEqual(all[step]);
  }
});

test("ranks and micro-batches divide the same windows", () => {
  const sources = [
    { file: counting(500), weight: 3 },
    { file: counting(900, 10_000), weight: 1 },
  ];
  const { batchAt } = trainingWindows({ sources, context: 9, seed: 5 });
  for (const step of [0, 1, 17]) {
    const whole = firsts(batchAt(step, { batchSize: 24 }));
    for (const [ranks, microBatches] of [
      [1, 4],
      [1, 24],
      [2, 1],
      [4, 3],
      [3, 8],
    ] as const) {
      const parts = Array.from({ length: ranks }, (_, rank) =>
        batchAt(step, { batchSize: 24, microBatches, rank, ranks }),
      );
      expect(parts.every((part) => part.length === microBatches)).toBe(true);
      expect(firsts(parts.flat())).toEqual(whole);
    }
  }
});

test("sources are mixed by weight within every batch, and each is read without repeats", () => {
  const sources = [
    { file: counting(1001), weight: 1 },
    { file: counting(2001, 10_000), weight: 3 },
  ];
  const { batchAt } = trainingWindows({ sources, context: 10, seed: 5 });
  const batches = Array.from({ length: 40 }, (_, step) => firsts(batchAt(step, { batchSize: 8 })));
  for (const batch of batches) expect(batch.filter((token) => token < 10_000)).toHaveLength(2);
  const first = batches.flat().filter((token) => token < 10_000);
  expect(new Set(first).size).toBe(80);
});

test("seeds give other orders", () => {
  expect(firsts(windowsOf(5000, 10, 1).batchAt(0, { batchSize: 20 }))).not.toEqual(
    firsts(windowsOf(5000, 10, 2).batchAt(0, { batchSize: 20 })),
  );
});

test("the shortest text that has a window works, a shorter one is refused with the numbers", () => {
  const { windows, batchAt } = windowsOf(9, 8);
  expect(windows).toBe(1);
  expect(firsts(batchAt(5, { batchSize: 2 }))).toEqual([0, 0]);
  expect(() => windowsOf(8, 8)).toThrow(
    "book.txt: has 8 tokens to train on, one window of context 8 needs 9; use a context of at most 7 (--context) or more text",
  );
  expect(() => windowsOf(8, 8)).toThrow(DataError);
  expect(() => windowsOf(1, 8)).toThrow(/has 1 tokens .* use more text/);
});

test.each([
  [{ batchSize: 0 }, /batch size: must be a positive integer, got 0/],
  [
    { batchSize: 6, microBatches: 4 },
    /6 windows do not divide into 4 micro-batches on each of 1 ranks; use a multiple of 4/,
  ],
  [{ batchSize: 6, ranks: 4 }, /on each of 4 ranks/],
  [{ batchSize: 6, ranks: 2, rank: 2 }, /rank: must be in 0 … 1, got 2/],
])("refuses %j", (division, message) => {
  const { batchAt } = windowsOf(100, 8);
  expect(() => batchAt(0, division)).toThrow(message);
  expect(() => batchAt(0, division)).toThrow(SettingsError);
});

test("refuses a context that is no positive integer", () => {
  expect(() => windowsOf(100, 0)).toThrow("context: must be a positive integer, got 0 (--context)");
});
