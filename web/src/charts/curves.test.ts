import { expect, test } from "vitest";
import { MetricBuckets } from "../../../src/train/metric-buckets.ts";
import { csvOf } from "./csv.ts";
import { curveOf, fewPlaces, smoothed, stepAt } from "./curves.ts";

/** Ten tokens a step, two seconds each; a loss each step, an evaluation every fourth. */
function run(steps: number): MetricBuckets {
  const buckets = new MetricBuckets();
  for (let step = 1; step <= steps; step++) {
    buckets.add(step, ["loss", "tokens", "tokens_per_second"], [step % 2, 10, 5]);
    if (step % 4 === 0) buckets.add(step, ["eval_loss"], [step]);
  }
  return buckets;
}

test("a curve lies along steps, along tokens that had come together, and along time; and a place leads back to its step", () => {
  const buckets = run(8);
  expect(curveOf(buckets, "eval_loss", "step").x).toEqual([4, 8]);
  expect(curveOf(buckets, "eval_loss", "tokens").x).toEqual([40, 80]);
  expect(curveOf(buckets, "eval_loss", "time").x).toEqual([8, 16]);
  expect([0, 40, 47, 1000].map((x) => stepAt(buckets, x, "tokens"))).toEqual([0, 4, 5, 8]);
});

test("smoothing is the mean of all values in a window, those of full buckets weighing more", () => {
  const curve = { x: [0, 10, 20], mean: [1, 2, 9], count: [1, 3, 1], low: null, high: null, steps: [0, 10, 20] };
  expect(smoothed(curve, 1)).toEqual([7 / 4, 16 / 5, 15 / 4]);
  expect(smoothed(curve, 0)).toEqual([1, 2, 9]);
  const long = curveOf(run(5000), "loss", "step");
  for (const value of smoothed(long, 0.2)) expect(value).toBeCloseTo(0.5, 1);
});

test("a table of a long curve has its first and its last place", () => {
  expect(fewPlaces(3, 5)).toEqual([0, 1, 2]);
  expect(fewPlaces(101, 5)).toEqual([0, 25, 50, 75, 100]);
});

test("a file for spreadsheets has every value, and no name becomes a formula", () => {
  const lines = csvOf([{ name: '=cmd("x")', buckets: run(4) }], ["eval_loss"]).split("\r\n");
  expect(lines).toEqual(["run,metric,step,mean,lowest,highest,values", `"'=cmd(""x"")",eval_loss,4,4,4,4,1`, ""]);
});
