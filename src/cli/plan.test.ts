import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCommand } from "../../test/run-command.ts";
import { writeSmallModel } from "../../test/small-model.ts";
import { openNative } from "../backend/native/index.ts";
import { families } from "../models/index.ts";
import { plan } from "./plan.ts";

interface Planned {
  readonly plans: readonly {
    readonly plan: { readonly operations: number };
    readonly secondsPerStep: number;
    readonly largestBatch: number | null;
  }[];
}

const small = { model: "gpt2", layers: 1, heads: 2, width: 16, context: 8, vocabularySize: 32, stage: "finetune" };

async function planned(given: object): Promise<{ result: Planned; shown: string }> {
  const { result, shown } = await runCommand(plan, { ...small, ...given });
  return { result: result as unknown as Planned, shown };
}

test.skipIf(!openNative({ threads: 1 }).backend)("times stand to each other as operations do", async () => {
  const { result } = await planned({ threads: 1 });
  const rates = result.plans.map(({ plan: { operations }, secondsPerStep }) => operations / secondsPerStep);
  for (const rate of rates) expect(rate / (rates[0] ?? 0)).toBeCloseTo(1, 9);
});

test.each([
  [1, "1.00 ms"],
  [59, "59.0 ms"],
  [90_000, "1.50 min"],
  [36_000_000, "10.0 h"],
  [86_400_000, "1.00 days"],
  [1e15, "31.7 thousand years"],
])("%d ms is written as %s", async (milliseconds, text) => {
  const { result } = await planned({ peakOperations: 1e-12, utilization: 1 });
  const operations = result.plans[0]?.plan.operations ?? 0;
  const { shown } = await planned({ peakOperations: operations / (1e12 * 1e-3 * milliseconds), utilization: 1 });
  expect(shown.replaceAll(/ +/g, " ")).toContain(`time of a step ${text}`);
});

test("a size of memory needs its unit", async () => {
  const peak = { peakOperations: 1 };
  await expect(planned({ ...peak, memory: "16" })).rejects.toThrow("memory: 16 has no unit; write 16GB or 16MB");
  await expect(planned({ ...peak, memory: "much" })).rejects.toThrow('memory: "much" is no size');
  const decimal = (await planned({ ...peak, memory: "1MB" })).result.plans[0]?.largestBatch ?? 0;
  const binary = (await planned({ ...peak, memory: "1 MiB" })).result.plans[0]?.largestBatch ?? 0;
  expect(decimal).toBeGreaterThan(0);
  expect(binary).toBeGreaterThan(decimal);
});

test.each([
  [{ context: 99_999_999 }, "8 × 99999999 tokens in a step are more than the 16777216 that can be planned"],
  [{ batchSize: 1e9, context: 8 }, "lower one of the two"],
  [{ loraRank: 100_000 }, "lora-rank: 100000 is above 16"],
  [{ layers: 100_000 }, "2000"],
])("sizes that would be planned for minutes are refused: %j", async (given, message) => {
  await expect(planned({ peakOperations: 1, ...given })).rejects.toThrow(message);
});

test("a folder of this place needs no ./ before it", async () => {
  const root = mkdtempSync(join(tmpdir(), "stemma-plan-"));
  const before = process.cwd();
  try {
    process.chdir(root);
    await writeSmallModel("mine", families.gpt2);
    const { shown } = await runCommand(plan, { model: "mine", stage: "finetune", peakOperations: 1 });
    expect(shown).toMatch(/^mine: 1\d\d k parameters/);
  } finally {
    process.chdir(before);
    rmSync(root, { recursive: true });
  }
});
