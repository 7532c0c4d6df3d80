import { expect, test } from "vitest";
import { StepPace } from "./step-pace.ts";

test("the pace is that of the median step, whatever happens in between", () => {
  let now = 0;
  const pace = new StepPace({ operationsPerToken: 6e6, peakOperationsPerSecond: 1e10 }, () => now);
  const after = (milliseconds: number, metrics: Record<string, number>) => {
    now += milliseconds;
    return pace.measure(metrics);
  };
  expect(after(3000, { tokens: 100 })).toEqual({}); // memory is reserved, code is compiled
  expect(after(500, { tokens: 100 })).toEqual({ tokens_per_second: 200, peak_share: 0.12 });
  expect(after(9000, { eval_loss: 1 })).toEqual({});
  expect(after(500, { tokens: 100 }).tokens_per_second).toBe(200);
  expect(after(7000, { tokens: 100 }).tokens_per_second).toBe(200); // a checkpoint was saved
});

test("without a peak there is no share of it", () => {
  let now = 0;
  const pace = new StepPace({}, () => now);
  pace.measure({ tokens: 50 });
  now = 250;
  expect(pace.measure({ tokens: 50, loss: 3 })).toEqual({ tokens_per_second: 200 });
});
