import { expect, test } from "vitest";
import { measurement } from "./measurement.ts";

test.each([
  [0, 2], // what the last evaluation found
  [3, 3], // the best model, which the last evaluation may not have been of
])("with a patience of %i the final model's result is that of measurement %i", async (patience, result) => {
  let count = 0;
  const { now, final } = measurement({ patience }, async () => ++count);
  await now();
  await now();
  expect(await final()).toBe(result);
});

test("a model that was never evaluated is measured at the end", async () => {
  expect(await measurement({ patience: 0 }, async () => "measured").final()).toBe("measured");
});
