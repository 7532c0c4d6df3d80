import { memoryThere } from "../../backend/demand-memory.ts";
import type { Backend } from "../../backend/kernels.ts";
import { formatBytes } from "../../core/byte-size.ts";
import { MemoryError } from "../../core/errors.ts";
import type { AnyFamily } from "../../models/family.ts";
import type { StoredModel } from "../../models/language-model.ts";
import { parameterBytes } from "../../nn/parameters.ts";
import { contextStep } from "../row-settings.ts";
import { planStep } from "./plan-memory.ts";
import type { PlannedModel } from "./plan-models.ts";
import { plannedModel } from "./plan-models.ts";
import type { PlannedRun } from "./prepared-step.ts";
import { plainRun } from "./prepared-step.ts";

/** Beyond so many layers or tokens a step is not gone through: what more of them takes is known from fewer. */
const [enoughLayers, enoughTokens] = [48, 2 ** 15];

/**
 * The most bytes that a step has in memory at one time, weights included. As {@link planStep} says but in a blink for
 * any size: memory grows in proportion to layers and to sequences, so that large steps follow from two smaller ones.
 */
export async function stepBytes(model: PlannedModel, run: PlannedRun): Promise<number> {
  const { layers = 0 } = model.settings as { readonly layers?: number };
  if (layers > enoughLayers) {
    const of = (some: number): Promise<number> => stepBytes(withLayers(model, some), run);
    return beyond(layers, enoughLayers, of);
  }
  const enoughSequences = Math.max(4, Math.floor(enoughTokens / run.context));
  if (run.batchSize > enoughSequences) {
    const of = (batchSize: number): Promise<number> => stepBytes(model, { ...run, batchSize });
    return beyond(run.batchSize, enoughSequences, of);
  }
  return (await planStep(model, run)).peak;
}

/** The line through the values at half of `enough` and at `enough`. */
async function beyond(place: number, enough: number, of: (place: number) => Promise<number>): Promise<number> {
  const half = Math.ceil(enough / 2); // sequences come whole
  const [low, high] = [await of(half), await of(enough)];
  return high + ((place - enough) * (high - low)) / (enough - half);
}

function withLayers(model: PlannedModel, layers: number): PlannedModel {
  return { ...model, settings: { ...(model.settings as object), layers } } as PlannedModel;
}

/** The largest whole number up to `most` for which `fits` holds, which holds for all below it too; 0 when for none. */
async function largest(most: number, fits: (value: number) => Promise<boolean>): Promise<number> {
  if (await fits(most)) return most;
  let [low, high] = [0, most];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * The longest sequences, up to `run.context` tokens, whose step stays within some bytes, weights included; 0 when not
 * even one token does.
 */
export async function largestContext(model: PlannedModel, run: PlannedRun, bytes: number): Promise<number> {
  return largest(run.context, async (context) => (await stepBytes(model, { ...run, context })) <= bytes);
}

/** What a stage that is about to begin has in memory, and what it can be told to do with less. */
export interface StepDemand {
  readonly backend: Backend;
  /** Bytes of models that are in memory already. */
  readonly loaded: number;
  /** Whether it is said where memory is short that `--recompute` takes less. */
  readonly canRecompute?: boolean;
  /** What messages call the stage; default: the planned one. */
  readonly name?: string;
  /** What to do when the smallest step is too large: `lower --layers or --width`. */
  readonly smaller: string;
}

/**
 * Bytes that a step may have in memory at one time, models that are there already included; infinite where nobody knows.
 */
export function bytesForStep({ backend, loaded }: Pick<StepDemand, "backend" | "loaded">): number {
  return (backend.memoryLeft?.() ?? Number.POSITIVE_INFINITY) + loaded;
}

/**
 * Makes sure, before it begins, that a training step fits into memory.
 *
 * @throws {MemoryError} naming its sizes and bytes, what there is, and which batch or context fits.
 */
export async function refuseLargeStep(model: PlannedModel, run: PlannedRun, demand: StepDemand): Promise<void> {
  const bytes = bytesForStep(demand);
  if (bytes === Number.POSITIVE_INFINITY) return;
  const needed = await stepBytes(model, run);
  if (needed <= bytes) return;
  throw new MemoryError(
    `${demand.name ?? run.stage}: a step of ${run.batchSize} × ${run.context} tokens takes ${formatBytes(needed)}, and ` +
      `${memoryThere(bytes)}; ${await adviceFor(model, run, bytes, demand)}`,
  );
}

async function adviceFor(
  model: PlannedModel,
  run: PlannedRun,
  bytes: number,
  { canRecompute = false, smaller }: StepDemand,
): Promise<string> {
  const least = await stepBytes(model, { ...run, batchSize: 1, context: 1, recompute: canRecompute || run.recompute });
  if (least > bytes) {
    return `weights, gradients and Adam's moments alone take ${formatBytes(least)}: ${smaller}`;
  }
  if (canRecompute && !run.recompute && (await stepBytes(model, { ...run, recompute: true })) <= bytes) {
    return "--recompute makes it fit, and takes a quarter longer";
  }
  const batchSize = await largest(
    run.batchSize - 1,
    async (some) => some === 0 || (await stepBytes(model, { ...run, batchSize: some })) <= bytes,
  );
  if (batchSize > 0) {
    return `--batch-size ${batchSize} fits (--accumulation ${Math.ceil(run.batchSize / batchSize)} learns from as many)`;
  }
  const context = await largestContext(model, { ...run, batchSize: 1 }, bytes);
  return context > 0 ? `--batch-size 1 --context ${context} fits` : `not even one token fits: ${smaller}`;
}

/** A stage that is about to train a model that is in memory. */
export interface Training
  extends Partial<Pick<PlannedRun, "freezeBody" | "loraRank" | "loraTargets" | "recompute" | "keepsReference">> {
  readonly stage: PlannedRun["stage"];
  /** What messages call it, where it is planned as another stage is. */
  readonly name?: string;
  readonly family: AnyFamily;
  readonly model: StoredModel;
  /** Sequences, pairs of them or answers that go through the model at once. */
  readonly batchSize: number;
  /** Tokens of the longest. */
  readonly longest: number;
}

/**
 * {@link refuseLargeStep} of a stage that goes on with a model.
 *
 * @throws {MemoryError} as there.
 */
export async function refuseLargeTraining(training: Training): Promise<void> {
  await refuseLargeStep(...plannedTraining(training));
}

/**
 * The longest rows, a multiple of {@link contextStep}, whose step fits into memory, and why the longest there are do not; null where they do.
 *
 * @throws {MemoryError} as {@link refuseLargeStep} does, when not even short rows fit.
 */
export async function fittingContext(training: Training): Promise<{ context: number; reason: string } | null> {
  const [model, run, demand] = plannedTraining(training);
  try {
    await refuseLargeStep(model, run, demand);
    return null;
  } catch (error) {
    if (!(error instanceof MemoryError)) throw error;
    const most = await largestContext(model, run, bytesForStep(demand));
    const context = Math.floor(most / contextStep) * contextStep;
    if (context === 0) throw error;
    return { context, reason: error.message };
  }
}

function plannedTraining({ family, model, longest, ...training }: Training): [PlannedModel, PlannedRun, StepDemand] {
  const { stage, batchSize, freezeBody = false, loraRank = 0, loraTargets = "attention", recompute = false } = training;
  const { keepsReference = false } = training;
  const planned = plannedModel(family.modelType, family, model.settings, model);
  const demand = {
    backend: model.backend,
    loaded: parameterBytes(model),
    canRecompute: true,
    name: training.name ?? stage,
  };
  const smaller = loraRank > 0 ? "take a smaller model" : "add --lora-rank 8, or take a smaller model";
  const run = { ...plainRun(stage, batchSize, longest), freezeBody, loraRank, loraTargets, recompute, keepsReference };
  return [planned, run, { ...demand, smaller }];
}
