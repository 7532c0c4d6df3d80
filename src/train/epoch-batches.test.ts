import { expect, test } from "vitest";
import { epochBatches, epochSteps } from "./epoch-batches.ts";

const items = Array.from({ length: 12 }, (_, i) => i);
const settings = { batchSize: 2, accumulation: 3, seed: 1 };

test("every item comes once an epoch, in another order each time", () => {
  const batches = epochBatches(items, settings, (chosen) => ({ batch: chosen, tokens: 5 }));
  const epoch = (first: number): number[] =>
    [first, first + 1].flatMap((step) => batches(step).flatMap(({ batch }) => batch));
  expect(epoch(0)).not.toEqual(epoch(2));
  for (const first of [0, 2, 4]) expect(epoch(first).sort((a, b) => a - b)).toEqual(items);
  expect(batches(3)).toEqual(batches(3));
  expect(batches(0).map(({ share, tokens, batch }) => [share, tokens, batch.length])).toEqual(
    Array.from({ length: 3 }, () => [1 / 3, 5, 2]),
  );
});

test("the steps asked for, or as many as the epochs take", () => {
  expect(epochSteps(13, { ...settings, steps: null, epochs: 1 })).toBe(3);
  expect(epochSteps(13, { ...settings, steps: null, epochs: 0.5 })).toBe(2);
  expect(epochSteps(13, { ...settings, steps: 7, epochs: 1 })).toBe(7);
});
