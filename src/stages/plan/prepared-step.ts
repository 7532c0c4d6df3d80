import { Random } from "../../core/random.ts";
import { defaultColumns } from "../../data/task-examples.ts";
import type { TaskBatch } from "../../data/task-inputs.ts";
import { taskBatch } from "../../data/task-inputs.ts";
import type { StoredModel } from "../../models/language-model.ts";
import type { LowRankOptions } from "../../models/low-rank-adapters.ts";
import { adapt } from "../../models/low-rank-adapters.ts";
import type { TaskDescription } from "../../models/task-model.ts";
import type { Parameter } from "../../nn/parameters.ts";
import { parameters } from "../../nn/parameters.ts";
import type { Optimizer } from "../../optim/optimizer.ts";
import { optimizerStep } from "../../train/optimizer-step.ts";
import type { MicroBatch, Objective } from "../../train/run.ts";
import { newOptimizer } from "../train-stage.ts";

/** Stages that can be planned. */
export const plannedStages = ["pretrain", "finetune", "sft", "reward", "dpo", "ppo", "grpo"] as const;

/** Tokens of the largest step that is planned: its batches are real, and are gone through token by token. */
export const mostTokens = 2 ** 24;

/** Layers of the deepest model that is planned, each of which is made. */
export const mostLayers = 2000;

/** What a run will do in a step. */
export interface PlannedRun {
  readonly stage: (typeof plannedStages)[number];
  /** Sequences (rows, prompts with two answers, pairs, answers) that go through a model at once. */
  readonly batchSize: number;
  /** Tokens of a sequence; half of them are an answer where there are answers. */
  readonly context: number;
  readonly recompute: boolean;
  readonly freezeBody: boolean;
  /** 0 is off. */
  readonly loraRank: number;
  readonly loraTargets: LowRankOptions["targets"];
  /** Whether the reference of DPO or GRPO stays in memory beside the policy. */
  readonly keepsReference: boolean;
}

/** A run of a stage that trains all of its models and keeps no more of them than it has to. */
export function plainRun(stage: PlannedRun["stage"], batchSize: number, context: number): PlannedRun {
  return {
    ...{ stage, batchSize, context, recompute: false, freezeBody: false, loraRank: 0, loraTargets: "attention" },
    keepsReference: false,
  };
}

/** Moments of a step at which memory is looked at. */
export type Moment = "weights" | "optimizer" | "forward";

/** Told when a moment has come. */
export type Mark = (moment: Moment) => void;

/** A step that is ready to be made. */
export interface PreparedStep {
  readonly model: StoredModel;
  /** All that has parameters, that model among them. */
  readonly models: readonly object[];
  /** Numbers that are trained. */
  readonly trained: number;
  /** Tokens that the step learns from. */
  readonly tokens: number;
  step(): Promise<void>;
  /** Gives all memory back. */
  release(): void;
}

/** Gives a model the adapters of a run, where it has any. */
export function adaptPlanned(model: StoredModel, { loraRank: rank, loraTargets: targets }: PlannedRun): void {
  if (rank > 0) adapt(model, { rank, alpha: 16, targets }, new Random(1));
}

/** The token that stands for all. */
export const someToken = 1;

/** Texts of one length that are told into two classes. */
export function plannedTask({ batchSize, context }: PlannedRun): { description: TaskDescription; batch: TaskBatch } {
  const task = "classification";
  const tokens = { start: "", delimiter: "", extract: "" };
  const ids = new Int32Array(context).fill(someToken);
  const example = { where: "", inputs: [{ ids, typeIds: new Int32Array(context) }], target: 0 };
  return {
    description: { task, labels: ["a", "b"], columns: defaultColumns[task], tokens },
    batch: taskBatch(Array.from({ length: batchSize }, () => example)),
  };
}

/** What a step learns from, and how. */
interface StepPart<Model, Batch> {
  readonly objective: Objective<Model, Batch>;
  readonly batch: Batch;
  readonly tokens: number;
}

/** One update by the loop's own `optimizerStep`. */
export function trainingStep<Model extends object, Batch>(
  body: StoredModel,
  model: Model,
  trained: ReadonlyMap<string, Parameter>,
  { objective, batch, tokens }: StepPart<Model, Batch>,
  mark: Mark,
): PreparedStep & { readonly optimizer: Optimizer } {
  mark("weights");
  const optimizer = newOptimizer(trained, { weightDecay: 0.1, adamBeta2: 0.999 });
  mark("optimizer");
  const micro: MicroBatch<Batch> = { batch, share: 1, tokens };
  const watched: Objective<Model, Batch> = (own, some, random) => {
    const result = objective(own, some, random);
    mark("forward");
    return result;
  };
  const update = { model, objective: watched, optimizer, schedule: () => 1e-5, maxGradientNorm: 1, seed: 1 };
  const count = [...optimizer.parameters().values()].reduce((sum, { size }) => sum + size, 0);
  return {
    ...{ model: body, models: [model], trained: count, tokens, optimizer },
    async step() {
      await optimizerStep({ ...update, batches: () => [micro] }, 0);
    },
    release: () => releaseAll([model], [optimizer]),
  };
}

/** Gives the memory of models and of what trains them back. */
export function releaseAll(models: readonly unknown[], optimizers: readonly Optimizer[]): void {
  for (const optimizer of optimizers) {
    optimizer.clearGradients();
    for (const moment of optimizer.state().values()) moment.release();
  }
  for (const model of models) for (const parameter of parameters(model as object).values()) parameter.release();
}
