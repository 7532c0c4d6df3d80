import { expect, test } from "vitest";
import { openNative } from "../../backend/native/index.ts";
import { largestBatch, measureStep, planStep } from "./plan-memory.ts";
import { planModel } from "./plan-models.ts";
import type { PlannedRun } from "./prepared-step.ts";
import { plannedStages } from "./prepared-step.ts";

const small = { layers: 2, heads: 4, width: 64, context: 64, vocabularySize: 512 };
const plain: PlannedRun = {
  ...{ stage: "pretrain", batchSize: 4, context: 64, recompute: false, freezeBody: false, loraRank: 0 },
  keepsReference: false,
};
const native = openNative({ threads: 1 }).backend;

const ways: readonly (readonly [string, PlannedRun])[] = [
  ...plannedStages.map((stage) => [stage, { ...plain, stage }] as const),
  ["recomputed", { ...plain, recompute: true }],
  ["frozen", { ...plain, stage: "finetune", freezeBody: true }],
  ["adapted", { ...plain, stage: "finetune", loraRank: 4 }],
  ["two models", { ...plain, stage: "dpo", keepsReference: true }],
];

/** Measures a step of a small model, and compares. */
async function expectPlanned(name: string, run: PlannedRun): Promise<void> {
  if (!native) throw new Error("the addon is not built");
  const model = await planModel(name, small);
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
