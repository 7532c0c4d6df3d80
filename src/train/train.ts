import type { Random } from "../core/random.ts";
import type { AdamW } from "../optim/adamw.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { optimizerStep } from "./optimizer-step.ts";

/** A scalar loss to minimise, given the model in its current state. `random` feeds dropout. */
export type Objective<Model, Batch> = (model: Model, batch: Batch, random: Random) => Tensor | MeasuredLoss;

/** A scalar loss and what is worth logging beside it: scalars off the tape, averaged over micro-batches by their shares. */
export interface MeasuredLoss {
  readonly loss: Tensor;
  readonly metrics: Readonly<Record<string, Tensor>>;
}

/** A part of a step's batch that goes through the model in one piece. */
export interface MicroBatch<Batch> {
  readonly batch: Batch;
  /** Weight of its loss in the step's; all shares of a step sum to 1. */
  readonly share: number;
  /** Tokens it trains on, for the log. */
  readonly tokens: number;
}

/** Numbers of one logged moment, named as in the metrics file. */
export type Metrics = Record<string, number>;

/** Everything one training run needs, already built. */
export interface Run<Model, Batch> {
  readonly model: Model;
  readonly objective: Objective<Model, Batch>;
  /** Micro-batches of a step: a function of the step alone, so that a resumed run sees the same ones. */
  readonly batches: (step: number) => readonly MicroBatch<Batch>[] | Promise<readonly MicroBatch<Batch>[]>;
  readonly optimizer: AdamW;
  /** Learning rate of a step. */
  readonly schedule: (step: number) => number;
  /** Largest norm of all gradients together; 0 does not clip. */
  readonly maxGradientNorm: number;
  readonly seed: number;
  /** Updates in the whole run. */
  readonly steps: number;
  /** Steps between evaluations, samples, saves; 0 is only at the end. */
  readonly evaluateEvery: number;
  readonly sampleEvery: number;
  readonly saveEvery: number;
  readonly evaluate: (step: number) => Promise<Metrics>;
  readonly sample: (step: number) => Promise<void>;
  readonly save: (step: number) => Promise<void>;
  readonly log: (step: number, metrics: Metrics) => void;
}

/** Gives a run literal its types, and nothing else. */
export function defineRun<Model, Batch>(run: Run<Model, Batch>): Run<Model, Batch> {
  return run;
}

/** How a run ended. */
export interface Outcome {
  /** Updates made, in this process and before. */
  readonly step: number;
  /** Stopped by its signal before the last step; the checkpoint of `step` is saved. */
  readonly interrupted: boolean;
}

/**
 * The training loop of every stage whose loss is a function of one batch. Starts at `firstStep`, the number of updates
 * made already; a signal ends it between two steps, after saving.
 *
 * @throws {NumericalError} when a loss or gradient is not finite, before it reaches the weights.
 */
export async function train<Model, Batch>(
  run: Run<Model, Batch>,
  firstStep = 0,
  signal?: AbortSignal,
): Promise<Outcome> {
  for (let step = firstStep; ; step++) {
    const last = step === run.steps; // one pass more than there are updates, to evaluate and save the final model
    const due = (every: number): boolean => last || (step > firstStep && every > 0 && step % every === 0);
    if (due(run.evaluateEvery)) run.log(step, await run.evaluate(step));
    const interrupted = !last && signal?.aborted === true;
    if (interrupted || due(run.saveEvery)) await run.save(step);
    if (due(run.sampleEvery)) await run.sample(step); // after saving: whatever goes wrong with a sample, nothing is lost
    if (interrupted || last) return { step, interrupted };
    run.log(step + 1, await optimizerStep(run, step));
  }
}
