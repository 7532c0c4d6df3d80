import type { Random } from "../core/random.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Tensor } from "../tensor/tensor.ts";

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
  /**
   * Weight of its loss in the step's, which is Σ share · loss. They sum to 1 where a step's loss is a mean over its batch;
   * a term with a coefficient of its own, as the text that PPO mixes in, comes on top with that.
   */
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
  readonly optimizer: Optimizer;
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
  /** Minutes after which the next step is saved whatever its number; 0 or absent is never. No bit depends on it. */
  readonly saveMinutes?: number;
  readonly evaluate: (step: number) => Promise<Metrics>;
  readonly sample: (step: number) => Promise<void>;
  readonly save: (step: number) => Promise<void>;
  readonly log: (step: number, metrics: Metrics) => void;
  /** Puts back what micro-batches of a step that is given up have changed, beside gradients; absent where nothing is. */
  readonly undo?: () => void;
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
