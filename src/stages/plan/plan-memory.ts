import { CountingBackend } from "../../backend/counting/index.ts";
import type { Backend } from "../../backend/kernels.ts";
import type { NativeBackend } from "../../backend/native/index.ts";
import { Initializer, parameterCount, parameters } from "../../nn/parameters.ts";
import type { PlannedModel } from "./plan-models.ts";
import { prepareStep } from "./plan-step.ts";
import type { Moment, PlannedRun } from "./prepared-step.ts";
import { mostTokens } from "./prepared-step.ts";

/** What a step takes, in bytes, numbers and operations. */
export interface Plan {
  readonly parameters: number;
  readonly trained: number;
  /** All models of the stage. */
  readonly weights: number;
  readonly moments: number;
  /** Of everything that is trained. They fill up while activations are given back. */
  readonly gradients: number;
  /**
   * What the forward pass keeps for the gradient; of PPO and GRPO, whose passes are several, the most that is in memory
   * at one time beside weights, moments and gradients.
   */
  readonly activations: number;
  /** The most that is in memory at one time. */
  readonly peak: number;
  /** Keys and values of one sequence of the context, when generating; 0 for a model that writes no text. */
  readonly keyValueCache: number;
  /** Floating-point operations of the step. */
  readonly operations: number;
  readonly tokens: number;
}

/** What a step would take, by running its own code on a backend that only counts. */
export async function planStep(model: PlannedModel, run: PlannedRun): Promise<Plan> {
  const backend = new CountingBackend();
  const inUse: Partial<Record<Moment, number>> = {};
  const mark = (moment: Moment): void => {
    inUse[moment] = backend.counts().inUse;
  };
  const prepared = prepareStep(backend, model, run, mark);
  backend.reset();
  await prepared.step();
  const { peak, operations, inUse: after } = backend.counts();
  const { weights = 0, optimizer = 0, forward } = inUse;
  return {
    parameters: parameterCount(prepared.model),
    trained: prepared.trained,
    weights,
    moments: optimizer - weights,
    gradients: after - optimizer,
    activations: forward === undefined ? peak - after : forward - optimizer,
    ...{ peak, operations, tokens: prepared.tokens },
    keyValueCache: cacheBytes(model, run.context),
  };
}

function cacheBytes(planned: PlannedModel, context: number): number {
  if (planned.kind !== "decoder") return 0;
  const { family, settings } = planned;
  const backend = new CountingBackend();
  const model = family.create(settings, new Initializer(backend, null));
  const before = backend.counts().inUse;
  model.newCache(1, context);
  return backend.counts().inUse - before;
}

/** What the same step really takes on the native backend: its largest number of bytes at once, and seconds. */
export async function measureStep(
  backend: NativeBackend,
  model: PlannedModel,
  run: PlannedRun,
): Promise<{ readonly peak: number; readonly seconds: number }> {
  const { machine } = backend;
  const before = machine.memory().inUse;
  const prepared = prepareStep(backend as Backend, model, run, () => {});
  fill(prepared.models);
  machine.resetPeak();
  await prepared.step();
  const { peak } = machine.memory();
  const start = performance.now();
  await prepared.step();
  const seconds = (performance.now() - start) / 1000;
  prepared.release();
  return { peak: peak - before, seconds };
}

/**
 * Seconds that a step takes: the least of a few, after one that is not counted, while code is still being compiled; where
 * a step is long, of that one alone.
 */
export async function timeStep(backend: Backend, model: PlannedModel, run: PlannedRun): Promise<number> {
  const prepared = prepareStep(backend, model, run, () => {});
  fill(prepared.models);
  let [least, spent] = [Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i < 4; i++) {
    const start = performance.now();
    await prepared.step();
    const seconds = (performance.now() - start) / 1000;
    spent += seconds;
    if (i > 0 || seconds > longStep) least = Math.min(least, seconds);
    if (least < Number.POSITIVE_INFINITY && spent > longStep / 2) break;
  }
  prepared.release();
  return least;
}

/** Seconds of a step that is not made twice. */
const longStep = 3;

function fill(models: readonly object[]): void {
  for (const parameter of models.flatMap((model) => [...parameters(model).values()])) {
    parameter.write(unevenNumbers(parameter.size));
  }
}

/** Small weights, no two rows alike: a norm of equal numbers would make the gradient infinite. */
function unevenNumbers(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => 0.02 * Math.cos(i * i));
}

/** Of so many guesses, one halves what is left instead of following a straight line: some steps grow by leaps. */
const guessesInARow = 3;
/** A guess is at most so many times what is known to fit: planning a step takes longer the larger it is. */
const farthest = 16;

/**
 * The largest batch whose step stays within some bytes; 0 when not even one sequence does. What a step takes grows with
 * its batch almost in a straight line, so that a few plans find it.
 */
export async function largestBatch(model: PlannedModel, run: PlannedRun, bytes: number): Promise<number> {
  const peakOf = async (batchSize: number): Promise<number> => (await planStep(model, { ...run, batchSize })).peak;
  const most = Math.min(65_536, Math.floor(mostTokens / run.context));
  return largestWithin(bytes, most, peakOf);
}

/** The largest whole number up to `most` at which a function that never falls is at most `bytes`; 0 where there is none. */
export async function largestWithin(
  bytes: number,
  most: number,
  peakOf: (size: number) => Promise<number>,
): Promise<number> {
  const first = await peakOf(1);
  if (first > bytes) return 0;
  let low = { size: 1, peak: first };
  let above = most + 1;
  let slope = 0;
  for (let guesses = 1; above - low.size > 1; guesses++) {
    const isStraight = slope > 0 && guesses % guessesInARow !== 0;
    const far = above > most ? 2 * low.size : Math.floor((low.size + above) / 2);
    const guess = isStraight ? low.size + Math.floor((bytes - low.peak) / slope) : far;
    const size = Math.min(Math.max(guess, low.size + 1), farthest * low.size, above - 1);
    const peak = await peakOf(size);
    slope = (peak - low.peak) / (size - low.size);
    if (peak <= bytes) low = { size, peak };
    else above = size;
  }
  return low.size;
}
