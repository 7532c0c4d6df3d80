import { z } from "zod";
import type { MachineSettings } from "../backend/machine-settings.ts";
import { machineSettings } from "../backend/machine-settings.ts";
import { openNative } from "../backend/native/index.ts";
import { formatBytes, parseBytes } from "../core/byte-size.ts";
import { UnsupportedError } from "../core/errors.ts";
import { weightSettings } from "../models/weight-choice.ts";
import type { Plan } from "../stages/plan/plan-memory.ts";
import { largestBatch, measureStep, planStep } from "../stages/plan/plan-memory.ts";
import type { PlannedModel } from "../stages/plan/plan-models.ts";
import { planModel } from "../stages/plan/plan-models.ts";
import type { PlannedRun } from "../stages/plan/prepared-step.ts";
import { mostLayers, plainRun, plannedStages } from "../stages/plan/prepared-step.ts";
import { defineCommand } from "./command.ts";

const size = z.int().positive().optional();

const PlanSettings = z.object({
  model: z
    .string()
    .min(1)
    .default("gpt2")
    .describe(
      "gpt1, gpt2 … gpt2-xl, gpt3-125m … gpt3-175b, bert-base, bert-large, llama-7b … llama-65b, a model folder, or a GGUF file",
    )
    .meta({ placeholder: "name|folder" }),
  stage: z.enum(plannedStages).default("pretrain").describe("what is to be done with it"),
  batchSize: z.int().positive().default(8).describe("sequences, pairs or answers that go through a model at once"),
  context: size.describe("tokens of a sequence (default: all that the model can read)"),
  layers: size.unwrap().max(mostLayers).optional().describe("instead of the model's own"),
  heads: size.describe("instead of the model's own"),
  width: size.describe("instead of the model's own"),
  vocabularySize: size.describe("instead of the model's own"),
  loraRank: z.int().positive().default(8).describe("rank of the adapters in the plan that has them"),
  loraTargets: z
    .enum(["attention", "all"])
    .default("attention")
    .describe("matrices that have adapters in the plan that has them"),
  weights: weightSettings.weights
    .describe(
      "how matrices lie in the plans with adapters, which leave them as they are (default: as the file has them)",
    )
    .meta({ group: "Machine" }),
  memory: z
    .string()
    .optional()
    .describe("memory there is, such as 16GB: says which batch fits")
    .meta({ placeholder: "size" }),
  steps: z.int().positive().default(1000).describe("steps of the run, for its time"),
  peakOperations: z
    .number()
    .positive()
    .optional()
    .describe("operations a second of the machine at best, in units of 10¹² (default: measured on this one)"),
  utilization: z.number().gt(0).max(1).default(0.5).describe("share of the peak that training reaches"),
  measure: z.boolean().default(false).describe("make the step here, and compare"),
  ...machineSettings,
});
type PlanSettings = z.output<typeof PlanSettings>;

/** One way to do a stage. */
interface Variant {
  readonly title: string;
  readonly run: PlannedRun;
}

/** `stemma plan`: the bill before the meal. */
export const plan = defineCommand({
  name: "plan",
  summary: "say what a run will take in memory and time, before it starts",
  group: "Start",
  settings: PlanSettings,
  examples: [
    "stemma plan --model gpt3-175b --stage finetune",
    "stemma plan --model runs/base/final --stage ppo --batch-size 16 --memory 8GB --measure",
  ],
  async run(settings, io) {
    const limit = settings.memory === undefined ? null : parseBytes(settings.memory, "memory");
    const model = await planModel(settings.model, settings, settings.weights ?? "stored");
    const { context: own = 1024 } = model.settings as { readonly context?: number };
    const variants = variantsOf(settings, settings.context ?? own);
    // Measured once, so that the times of the columns stand to each other as their operations do.
    const rate = operationsPerSecond(settings.peakOperations, settings) * settings.utilization;
    const columns: Column[] = [];
    for (const variant of variants) columns.push(await fillColumn(model, variant, { rate, limit }, settings));
    const [first] = columns;
    if (first) {
      const { parameters, keyValueCache } = first.plan;
      io.print(
        `${model.name}: ${count(parameters)} parameters; ${settings.stage}, batch ${settings.batchSize} × ${variants[0]?.run.context} tokens`,
      );
      for (const line of tableLines(columns)) io.print(line);
      if (keyValueCache > 0) io.print(`keys and values of one generated sequence: ${formatBytes(keyValueCache)}`);
    }
    return { model: model.name, stage: settings.stage, plans: columns };
  },
});

interface Column {
  readonly title: string;
  readonly plan: Plan;
  readonly secondsPerStep: number;
  readonly hours: number;
  readonly largestBatch: number | null;
  readonly measured: { readonly peak: number; readonly seconds: number } | null;
}

/** What a machine has: operations a second, and bytes where a limit is given. */
interface Machine {
  readonly rate: number;
  readonly limit: number | null;
}

async function fillColumn(
  model: PlannedModel,
  { title, run }: Variant,
  { rate, limit }: Machine,
  settings: Pick<PlanSettings, "steps" | "measure"> & MachineSettings,
): Promise<Column> {
  const planned = await planStep(model, run);
  const secondsPerStep = planned.operations / rate;
  return {
    ...{ title, plan: planned, secondsPerStep, hours: (secondsPerStep * settings.steps) / 3600 },
    largestBatch: limit === null ? null : await largestBatch(model, run, limit),
    measured: settings.measure ? await measure(model, run, settings) : null,
  };
}

async function measure(
  model: PlannedModel,
  run: PlannedRun,
  { threads: own, matmulPrecision: precision }: MachineSettings,
): Promise<Column["measured"]> {
  const opened = openNative({ matmulPrecision: precision, threads: own > 0 ? own : undefined });
  if (!opened.backend) throw new UnsupportedError(`measure: ${opened.reason}`);
  return measureStep(opened.backend, model, run);
}

function operationsPerSecond(
  peakOperations: number | undefined,
  { threads: own, matmulPrecision: precision }: MachineSettings,
): number {
  if (peakOperations !== undefined) return peakOperations * 1e12;
  const opened = openNative({ threads: own > 0 ? own : undefined });
  if (!opened.backend)
    throw new UnsupportedError(`peak-operations: cannot be measured here (${opened.reason}); give it`);
  const { machine } = opened.backend;
  return machine.peak(precision, machine.threads);
}

/** The ways in which a stage can be done, cheapest last. */
function variantsOf({ stage, batchSize, loraRank, loraTargets }: PlanSettings, context: number): Variant[] {
  const plain = { ...plainRun(stage, batchSize, context), loraTargets };
  const adapted = { title: `--lora-rank ${loraRank}`, run: { ...plain, loraRank } };
  const both = { title: "and --recompute", run: { ...adapted.run, recompute: true } };
  switch (stage) {
    case "pretrain":
      return [
        { title: "plain", run: plain },
        { title: "--recompute", run: { ...plain, recompute: true } },
      ];
    case "sft":
      return [
        { title: "plain", run: plain },
        { title: "--recompute", run: { ...plain, recompute: true } },
        adapted,
        both,
      ];
    case "finetune":
      return [{ title: "full", run: plain }, adapted, { title: "--freeze-body", run: { ...plain, freezeBody: true } }];
    case "dpo":
      return [
        { title: "two models", run: { ...plain, keepsReference: true } },
        { title: "one (ours)", run: plain },
        adapted,
        both,
      ];
    case "grpo":
      return [
        { title: "--beta 0.04", run: { ...plain, keepsReference: true } },
        { title: "--beta 0", run: plain },
        adapted,
        both,
      ];
    case "reward":
    case "ppo":
      return [{ title: stage === "ppo" ? "four models" : "plain", run: plain }, adapted, both];
  }
}

function tableLines(columns: readonly Column[]): string[] {
  const row = (name: string, of: (column: Column) => string): string =>
    `${name.padEnd(26)}${columns.map((column) => of(column).padStart(16)).join("")}`;
  const isMeasured = columns.some(({ measured }) => measured);
  const isLimited = columns.some((column) => column.largestBatch !== null);
  return [
    row("", ({ title }) => title),
    row("trained numbers", (column) => count(column.plan.trained)),
    row("weights", (column) => formatBytes(column.plan.weights)),
    row("Adam's two moments", (column) => formatBytes(column.plan.moments)),
    row("gradients", (column) => formatBytes(column.plan.gradients)),
    row("activations", (column) => formatBytes(column.plan.activations)),
    row("most at one time", (column) => formatBytes(column.plan.peak)),
    ...(isMeasured ? [row("  measured", ({ measured }) => formatBytes(measured?.peak ?? 0))] : []),
    ...(isMeasured ? [row("  measured / planned", (c) => ((c.measured?.peak ?? 0) / c.plan.peak).toFixed(3))] : []),
    row("operations a token", (column) => count(column.plan.operations / column.plan.tokens)),
    row("time of a step", (column) => seconds(column.secondsPerStep)),
    ...(isMeasured ? [row("  measured", ({ measured }) => seconds(measured?.seconds ?? 0))] : []),
    row("time of the run", (column) => seconds(3600 * column.hours)),
    ...(isLimited ? [row("largest batch that fits", (column) => String(column.largestBatch))] : []),
  ];
}

function count(value: number): string {
  const names: readonly (readonly [number, string])[] = [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ];
  const [limit = 1, name = ""] = names.find(([least]) => value >= least) ?? [];
  return `${(value / limit).toPrecision(3)} ${name}`.trim();
}

const year = 365.25 * 86_400;

const timeUnits: readonly (readonly [number, string])[] = [
  [1e3 * year, "thousand years"],
  [year, "years"],
  [86_400, "days"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** `85.2 ms`, `13.2 s`, `3.67 h`, `50.7 days`. */
function seconds(value: number): string {
  const [inSeconds = 1e-3, unit = "ms"] = timeUnits.find(([limit]) => value >= limit) ?? [];
  const amount = value / inSeconds;
  return `${amount < 999.5 ? amount.toPrecision(3) : Math.round(amount).toLocaleString("en-US")} ${unit}`;
}
