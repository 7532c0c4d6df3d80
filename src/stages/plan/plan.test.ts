import { describe, expect, test } from "vitest";
import { CountingBackend } from "../../backend/counting/index.ts";
import type { Backend } from "../../backend/kernels.ts";
import { openNative } from "../../backend/native/index.ts";
import { MemoryError } from "../../core/errors.ts";
import { Random } from "../../core/random.ts";
import { t5 } from "../../models/encoder-decoders/t5.ts";
import type { WeightChoice } from "../../models/weight-choice.ts";
import { largestContext, refuseLargeStep, stepBytes } from "./fit.ts";
import type { Plan } from "./plan-memory.ts";
import { largestBatch, largestWithin, measureStep, planStep } from "./plan-memory.ts";
import { planModel, plannedModel } from "./plan-models.ts";
import type { PlannedRun } from "./prepared-step.ts";
import { plannedStages } from "./prepared-step.ts";

const small = { layers: 2, heads: 4, width: 64, context: 64, vocabularySize: 512 };
const plain: PlannedRun = {
  ...{ stage: "pretrain", batchSize: 4, context: 64, recompute: false, freezeBody: false, loraRank: 0 },
  loraTargets: "attention",
  keepsReference: false,
};
const native = openNative({ threads: 1 }).backend;

const ways: readonly (readonly [string, PlannedRun])[] = [
  ...plannedStages.map((stage) => [stage, { ...plain, stage }] as const),
  ["recomputed", { ...plain, recompute: true }],
  ["frozen", { ...plain, stage: "finetune", freezeBody: true }],
  ...plannedStages.map((stage) => [`${stage}, adapted`, { ...plain, stage, loraRank: 4 }] as const),
  ["all matrices adapted and recomputed", { ...plain, stage: "dpo", loraRank: 4, loraTargets: "all", recompute: true }],
  ["two models", { ...plain, stage: "dpo", keepsReference: true }],
];

/** Measures a step of a small model, and compares. */
async function expectPlanned(name: string, run: PlannedRun, weights: WeightChoice = "float32"): Promise<void> {
  if (!native) throw new Error("the addon is not built");
  const model = await planModel(name, small, weights);
  const planned = await planStep(model, run);
  const measured = await measureStep(native, model, run);
  expect(measured.peak / planned.peak).toBeGreaterThan(0.9);
  expect(measured.peak / planned.peak).toBeLessThan(1.1);
}

test.skipIf(!native).each(ways)("%s: the plan is within a tenth of what the step takes", async (_, run) => {
  await expectPlanned("gpt2", run);
});

test.skipIf(!native).each([
  ["pretraining", plain],
  ["pretraining, recomputed", { ...plain, recompute: true }],
  ["fine-tuning", { ...plain, stage: "finetune" }],
  ["frozen", { ...plain, stage: "finetune", freezeBody: true }],
  ["adapted", { ...plain, stage: "finetune", loraRank: 4 }],
] as const)("BERT, %s: the plan is within a tenth of what the step takes", async (_, run) => {
  await expectPlanned("bert-base", run);
});

const adapted = (["sft", "finetune", "reward", "dpo", "ppo", "grpo"] as const).map(
  (stage) => [stage, { ...plain, stage, loraRank: 4 }] as const,
);

test.skipIf(!native).each(adapted)(
  "%s on blocks: the plan is within a tenth of what the step takes",
  async (_, run) => {
    await expectPlanned("llama-7b", run, "q8_0");
  },
);

test("matrices that stay as they are count in their format, and only those", async () => {
  const width = 96; // and 256 in between: whole blocks
  const of = (choice: WeightChoice, loraRank: number): Promise<Plan> =>
    planModel("llama-7b", { ...small, width }, choice).then((model) =>
      planStep(model, { ...plain, stage: "sft", loraRank }),
    );
  const [exact, blocks] = [await of("float32", 4), await of("q8_0", 4)];
  const matrices = exact.parameters - exact.trained - (2 * small.layers + 1) * width;
  expect(exact.weights - blocks.weights).toBe(matrices * (4 - 34 / 32));
  expect((await of("q8_0", 0)).weights).toBe((await of("float32", 0)).weights);
});

test.each(["bert-base", "gpt2", "llama-7b"])("%s: an adapter holds nothing but what has its rank", async (name) => {
  const model = await planModel(name, small);
  const full = await planStep(model, { ...plain, stage: "finetune" });
  const adapted = await planStep(model, { ...plain, stage: "finetune", loraRank: 4 });
  const [adapters, tokens] = [2 * small.layers, plain.batchSize * plain.context];
  expect(adapted.activations).toBeLessThanOrEqual(full.activations + adapters * 2 * 4 * tokens * 4);
});

test("BERT has no stages that write", async () => {
  const model = await planModel("bert-base", small);
  await expect(planStep(model, { ...plain, stage: "ppo" })).rejects.toThrow("plan pretrain or finetune");
});

test("parts of a plan add up, and cheaper ways are cheaper", async () => {
  const model = await planModel("llama-7b", { ...small, layers: 4 });
  const full = await planStep(model, { ...plain, stage: "finetune" });
  expect(full.moments).toBeCloseTo(8 * full.trained, -4);
  expect(full.gradients).toBeCloseTo(4 * full.trained, -4);
  expect(full.peak).toBeGreaterThanOrEqual(full.weights + full.moments + full.activations);
  const frozen = await planStep(model, { ...plain, stage: "finetune", freezeBody: true });
  const adapted = await planStep(model, { ...plain, stage: "finetune", loraRank: 4 });
  expect(frozen.peak).toBeLessThan(0.4 * full.peak);
  expect(frozen.operations).toBeLessThan(0.4 * full.operations);
  expect(adapted.peak).toBeLessThan(full.peak);
  const recomputed = await planStep(model, { ...plain, recompute: true });
  expect(recomputed.activations).toBeLessThan(0.4 * (await planStep(model, plain)).activations);
  for (const stage of ["ppo", "grpo"] as const) {
    const { weights, moments, gradients, activations, peak } = await planStep(model, { ...plain, stage });
    expect(weights + moments + gradients + activations).toBe(peak);
    expect(activations).toBeGreaterThan(0.01 * peak);
  }
});

test.each([
  ["gpt1", 116.5e6],
  ["gpt2", 124.4e6],
  ["gpt2-xl", 1557.6e6],
  ["gpt3-175b", 174.6e9],
  ["bert-base", 109.5e6],
  ["bert-large", 335.1e6],
  ["llama-7b", 6738e6],
  ["llama-65b", 65_286e6],
])("%s has the parameters of its paper", async (name, parameters) => {
  const model = await planModel(name, { context: name.startsWith("llama") ? 64 : undefined });
  const planned = await planStep(model, { ...plain, stage: "finetune", batchSize: 1, context: 8, freezeBody: true });
  expect(planned.parameters / parameters).toBeCloseTo(1, 2);
});

test("the largest batch fits, and one more does not", async () => {
  const model = await planModel("gpt2", small);
  const batch = await largestBatch(model, plain, 8e6);
  expect(batch).toBeGreaterThan(4);
  expect((await planStep(model, { ...plain, batchSize: batch })).peak).toBeLessThanOrEqual(8e6);
  expect((await planStep(model, { ...plain, batchSize: batch + 1 })).peak).toBeGreaterThan(8e6);
  expect(await largestBatch(model, plain, 1e6)).toBe(0);
});

test("a name that is not known is refused with the nearest", async () => {
  await expect(planModel("gpt2-mediun", {})).rejects.toThrow("did you mean gpt2-medium?");
});

test.each([
  ["many layers", { ...small, layers: 120 }, plain],
  ["many sequences", small, { ...plain, batchSize: 3000 }],
  [
    "sequences of which half would be no whole number",
    { ...small, context: 500 },
    { ...plain, context: 500, batchSize: 70 },
  ],
  ["both, recomputed", { ...small, layers: 96 }, { ...plain, batchSize: 2000, recompute: true }],
])("%s: what a step takes follows from smaller ones", async (_, sizes, run) => {
  const model = await planModel("gpt2", sizes);
  expect((await stepBytes(model, run)) / (await planStep(model, run)).peak).toBeCloseTo(1, 2);
});

test("the longest context that fits is the longest that fits", async () => {
  const model = await planModel("gpt2", { ...small, context: 4096 });
  const run = { ...plain, batchSize: 2, context: 4096 };
  const context = await largestContext(model, run, 2e7);
  expect(context).toBeGreaterThan(64);
  expect((await planStep(model, { ...run, context })).peak).toBeLessThanOrEqual(2e7);
  expect((await planStep(model, { ...run, context: context + 1 })).peak).toBeGreaterThan(2e7);
  expect(await largestContext(model, run, 1e3)).toBe(0);
  expect(await largestContext(model, { ...run, context: 8 }, 1e9)).toBe(8);
});

describe("a step that is too large is refused with what would fit", () => {
  const refusal = async (left: number, run: PlannedRun, more: object = {}): Promise<string> => {
    const backend = { ...new CountingBackend(), memoryLeft: () => left } as unknown as Backend;
    const demand = { backend, loaded: 0, smaller: "lower --layers", ...more };
    const refused = refuseLargeStep(await planModel("gpt2", small), run, demand);
    return refused.then(
      () => "fits",
      (error: unknown) => (error instanceof MemoryError ? error.message : "another error"),
    );
  };
  const large = { ...plain, batchSize: 64 };

  test("by a smaller batch", async () => {
    const message = await refusal(2e7, large);
    const [, batch] =
      /^pretrain: a step of 64 × 64 tokens takes [\d.]+ MB, .*; --batch-size (\d+) fits/.exec(message) ?? [];
    expect(await refusal(2e7, { ...plain, batchSize: Number(batch) })).toBe("fits");
    expect(await refusal(2e7, { ...plain, batchSize: Number(batch) + 1 })).not.toBe("fits");
  });

  test("by computing again, by a shorter context, or by another model", async () => {
    const { peak } = await planStep(await planModel("gpt2", small), { ...large, recompute: true });
    expect(await refusal(peak, large, { canRecompute: true })).toContain("; --recompute makes it fit");
    const one = { ...plain, batchSize: 1 };
    const alone = await planStep(await planModel("gpt2", small), { ...one, context: 1 });
    expect(await refusal(alone.peak + 1e5, one)).toMatch(/; --batch-size 1 --context \d+ fits$/);
    expect(await refusal(1e5, one)).toMatch(/moments alone take [\d.]+ MB: lower --layers$/);
    expect(await refusal(1e5, one, { loaded: peak })).toBe("fits");
  });
});

test.skipIf(!native)("a T5: the plan is within a tenth of what the step takes", async () => {
  const settings = t5.shaped({ ...small, dropout: 0 });
  const model = plannedModel("t5", t5, settings);
  const measured = await measureStep(native as NonNullable<typeof native>, model, plain);
  const { peak } = await planStep(model, plain);
  expect(measured.peak / peak).toBeGreaterThan(0.9);
  expect(measured.peak / peak).toBeLessThan(1.1);
});

test("the largest size within a limit is found in few guesses on a straight line, and on any that does not fall", async () => {
  let asked = 0;
  const line = async (size: number): Promise<number> => {
    asked += 1;
    return 1000 + 7 * size;
  };
  expect(await largestWithin(1000 + 7 * 1234 + 3, 65_536, line)).toBe(1234);
  expect(asked).toBeLessThan(12);
  expect(await largestWithin(1e9, 500, line)).toBe(500);
  expect(await largestWithin(1006, 500, line)).toBe(0);
  const reader = new Random(1).reader();
  for (let trial = 0; trial < 100; trial++) {
    const sums = [0];
    for (let i = 1; i <= 300; i++) sums.push((sums.at(-1) ?? 0) + (reader.word() % 4 === 0 ? reader.word() % 500 : 0));
    const limit = reader.word() % 20_000;
    const largest = sums.findLastIndex((sum) => sum <= limit);
    expect(await largestWithin(limit, 300, async (size) => sums[size] ?? Number.NaN)).toBe(largest);
  }
});
