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

/** The largest batch whose step stays within some bytes; 0 when not even one sequence does. */
export async function largestBatch(model: PlannedModel, run: PlannedRun, bytes: number): Promise<number> {
  const fits = async (batchSize: number): Promise<boolean> =>
    (await planStep(model, { ...run, batchSize })).peak <= bytes;
  if (!(await fits(1))) return 0;
  const most = Math.min(65_536, Math.floor(mostTokens / run.context));
  let [low, high] = [1, 2];
  while (high <= most && (await fits(high))) [low, high] = [high, 2 * high];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}
