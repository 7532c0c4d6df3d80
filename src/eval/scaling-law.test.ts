import { describe, expect, it } from "vitest";
import { DataError } from "../core/errors.ts";
import type { MeasuredRun, ScalingLaw } from "./scaling-law.ts";
import { computeOptimal, fitScalingLaw, predictLoss } from "./scaling-law.ts";

/** Besiroglu et al.'s estimate from the points of Hoffmann et al. */
const chinchilla: ScalingLaw = { E: 1.8172, A: 477.84, B: 2143.9, alpha: 0.34731, beta: 0.36718 };

/** What twelve small runs on characters gave: other exponents, another range. */
const characters: ScalingLaw = { E: 1.08, A: 40, B: 9000, alpha: 0.39, beta: 0.72 };

/** Runs of a law at all pairs of sizes and tokens. */
function runsOf(law: ScalingLaw, sizes: readonly number[], lengths: readonly number[]): MeasuredRun[] {
  return sizes.flatMap((parameters) =>
    lengths.map((tokens) => {
      const { E, A, B, alpha, beta } = law;
      return { parameters, tokens, loss: E + A * Math.exp(-alpha * Math.log(parameters)) + B / tokens ** beta };
    }),
  );
}

const large = runsOf(chinchilla, [5e7, 2e8, 1e9, 4e9, 1.5e10], [1e9, 5e9, 2e10, 1e11]);
const small = runsOf(characters, [8e3, 2e4, 5e4, 1.2e5], [3e5, 1e6, 3e6, 8e6]);

describe("fitScalingLaw", () => {
  it.each([
    ["large models", chinchilla, large],
    ["small ones", characters, small],
  ] as const)("recovers the law of %s from its points to four digits", (_, law, runs) => {
    const fitted = fitScalingLaw(runs);
    for (const key of ["E", "A", "B", "alpha", "beta"] as const) {
      expect(Math.abs(fitted[key] / law[key] - 1), key).toBeLessThan(5e-5);
    }
  });

  it("is hardly moved by one run that went wrong", () => {
    const runs = large.map((run, index) => (index === 7 ? { ...run, loss: 1.2 * run.loss } : run));
    expect(predictLoss(fitScalingLaw(runs), 7e10, 1.4e12) / predictLoss(chinchilla, 7e10, 1.4e12)).toBeCloseTo(1, 2);
  });

  it("finds the same exponents whatever unit the loss has", () => {
    const { alpha, beta } = fitScalingLaw(large.map((run) => ({ ...run, loss: 1e300 * run.loss })));
    expect(alpha).toBeCloseTo(chinchilla.alpha, 5);
    expect(beta).toBeCloseTo(chinchilla.beta, 5);
  });

  it("says which runs it cannot use", () => {
    expect(() => fitScalingLaw(large.slice(0, 5))).toThrow(
      new DataError("scaling law: 5 runs are too few for its five numbers; give at least 6"),
    );
    expect(() => fitScalingLaw([...large, { parameters: 1, tokens: 2, loss: Number.NaN }])).toThrow(
      "loss of run 21 is NaN",
    );
    expect(() => fitScalingLaw(large.map((run) => ({ ...run, tokens: 5 })))).toThrow("all runs have 5 tokens");
  });
});

describe("computeOptimal", () => {
  it("gives the size below and above which the loss for as many operations is larger", () => {
    const operations = 5.76e23;
    const { parameters, tokens } = computeOptimal(chinchilla, operations);
    expect(6 * parameters * tokens).toBeCloseTo(operations, -15);
    const lossAt = (size: number): number => predictLoss(chinchilla, size, operations / (6 * size));
    expect(lossAt(parameters)).toBeLessThan(lossAt(0.99 * parameters));
    expect(lossAt(parameters)).toBeLessThan(lossAt(1.01 * parameters));
  });
});
