import { parameters } from "../../src/nn/parameters.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { optimizerStep } from "../../src/train/optimizer-step.ts";
import type { Objective } from "../../src/train/run.ts";
import type { Fixture, RecordedRun } from "./fixture.ts";

/** Losses and gradient norms of a training run. */
export interface TrainingLog {
  readonly losses: readonly number[];
  readonly norms: readonly number[];
}

/** Trains a model as PyTorch did in one of a fixture's runs. */
export async function trainAsRecorded<Model extends object, Batch>(
  fixture: Fixture,
  run: RecordedRun,
  model: Model,
  objective: Objective<Model, Batch>,
  batchOf: (step: number) => Promise<Batch>,
): Promise<TrainingLog> {
  const { beta1, beta2, epsilon, weight_decay: weightDecay } = run;
  const update = {
    model,
    objective,
    batches: async (step: number) => [{ batch: await batchOf(step), share: 1, tokens: 0 }],
    optimizer: new AdamW(parameters(model), { beta1, beta2, epsilon, weightDecay }),
    schedule: () => run.learning_rate,
    maxGradientNorm: run.max_gradient_norm,
    seed: 0,
  };
  const [losses, norms]: [number[], number[]] = [[], []];
  for (let step = 0; step < fixture.steps; step++) {
    const metrics = await optimizerStep(update, step);
    losses.push(metrics.loss ?? Number.NaN);
    norms.push(metrics.grad_norm ?? Number.NaN);
  }
  return { losses, norms };
}
