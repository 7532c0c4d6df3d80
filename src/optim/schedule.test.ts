import { expect, test } from "vitest";
import { learningRateAt } from "./schedule.ts";

test("the inverse square root is the Transformer's rule, d^-0.5 · min(step^-0.5, step · warmup^-1.5)", () => {
  const [width, warmupSteps] = [512, 4000];
  const learningRate = (width * warmupSteps) ** -0.5;
  const settings = { learningRate, warmupSteps, steps: 1e5, finalShare: 0, shape: "inverse-sqrt" } as const;
  for (const step of [1, 2, 3999, 4000, 4001, 50_000]) {
    const expected = width ** -0.5 * Math.min(step ** -0.5, step * warmupSteps ** -1.5);
    expect(learningRateAt(step - 1, settings) / expected).toBeCloseTo(1, 12);
  }
});
