import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Parameter } from "./parameters.ts";
import type { TensorSummary } from "./tensor-summary.ts";
import { summarize } from "./tensor-summary.ts";

const backend = openReference();

async function summaryOf(tensor: Tensor): Promise<{ summary: TensorSummary; slices: number }> {
  const steps = summarize(tensor);
  for (let slices = 0; ; slices++) {
    const { done, value } = await steps.next();
    if (done) return { summary: value, slices };
  }
}

test("numbers worked out by hand", async () => {
  const { summary } = await summaryOf(Tensor.from(backend, [-2, 0, 1, 0, 6, 1], [2, 3]));
  expect(summary).toMatchObject({ mean: 1, min: -2, max: 6, zeros: 2, notFinite: 0 });
  expect(summary.norm).toBeCloseTo(Math.sqrt(42), 12);
  expect(summary.standardDeviation).toBeCloseTo(Math.sqrt(6), 12); // 42/6 − 1²
  expect([summary.histogram.from, summary.histogram.to]).toEqual([-2, 6]);
  const filled = summary.histogram.counts.flatMap((count, at) => (count > 0 ? [[at, count]] : []));
  expect(filled).toEqual([
    [0, 1], // −2
    [12, 2], // 0 = −2 + 12 · 8/48
    [18, 2], // 1
    [47, 1], // 6
  ]);
});

test("a tensor of several slices, in a weight format as it decodes", async () => {
  const size = 600_000;
  const values = Float32Array.from({ length: size }, (_, i) => (i % 5) - 2);
  const tensor = Parameter.create(backend, [1000, 600], "bfloat16"); // small integers are exact there
  tensor.write(values);
  const { summary, slices } = await summaryOf(tensor);
  expect(slices).toBe(6);
  expect(summary).toMatchObject({ mean: 0, min: -2, max: 2, zeros: size / 5 });
  expect(summary.norm).toBeCloseTo(Math.sqrt(size * 2), 6);
  expect(summary.histogram.counts.reduce((sum, count) => sum + count, 0)).toBe(size);
  expect(summary.histogram.counts[24]).toBe(size / 5);
});

test("equal numbers, and what is not finite", async () => {
  const same = (await summaryOf(Tensor.from(backend, [3, 3, 3], [3]))).summary;
  expect(same).toMatchObject({ mean: 3, standardDeviation: 0, min: 3, max: 3 });
  expect(same.histogram.counts[0]).toBe(3);
  const odd = (await summaryOf(Tensor.from(backend, [Number.NaN, 1, Infinity, 3], [4]))).summary;
  expect(odd).toMatchObject({ mean: 2, min: 1, max: 3, notFinite: 2 });
});
