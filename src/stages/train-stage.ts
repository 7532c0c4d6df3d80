import { z } from "zod";
import type { ModelContents } from "../checkpoint/model-folder.ts";
import type { Parameter } from "../nn/parameters.ts";
import { AdamW } from "../optim/adamw.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { learningRateAt } from "../optim/schedule.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Run } from "../train/run.ts";
import { train } from "../train/train.ts";
import { momentsOf, restoreStage, saveStage } from "./checkpoints.ts";
import { resolvedSettings } from "./resolved-settings.ts";
import type { StageEnvironment, StageRun } from "./stage.ts";
import { trainingSettings } from "./stage.ts";

const Training = z.object({ ...trainingSettings, sampleEvery: trainingSettings.sampleEvery.optional() });
type Training = z.output<typeof Training>;

/** What a stage that trains with the loop of `train.ts` adds to its settings. */
export interface TrainStage<Model, Batch>
  extends Pick<Run<Model, Batch>, "model" | "objective" | "batches" | "evaluate" | "sample"> {
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly contents: () => ModelContents;
  /** Default: {@link newOptimizer} of the settings. */
  readonly optimizer?: Optimizer;
  /** What a checkpoint holds beside the model and the optimizer's moments. */
  readonly tensors?: () => ReadonlyMap<string, Tensor>;
  /** What tells the share of the machine's peak. */
  readonly speed?: Pick<StageRun, "operationsPerToken" | "peakOperationsPerSecond">;
  /** Done once after the last step, before the final model is saved. */
  readonly finish?: () => Promise<void>;
}

/** What a stage's settings say of the optimizer. */
interface OptimizerChoice extends Pick<Training, "weightDecay" | "adamBeta2"> {
  readonly scaleParameter?: boolean;
}

/** AdamW as a stage's settings ask for it. */
export function newOptimizer(
  parameters: ReadonlyMap<string, Parameter>,
  { weightDecay, adamBeta2, scaleParameter: scaleByParameter = false }: OptimizerChoice,
): AdamW {
  return new AdamW(parameters, { beta1: 0.9, beta2: adamBeta2, epsilon: 1e-8, weightDecay, scaleByParameter });
}

/** A run that is ready to go on from its checkpoint, if it has one. */
export async function trainStage<Model, Batch>(
  stage: TrainStage<Model, Batch>,
  settings: Training & OptimizerChoice,
  environment: StageEnvironment,
): Promise<StageRun> {
  const optimizer = stage.optimizer ?? newOptimizer(stage.parameters, settings);
  const { checkpoint } = environment.folder;
  const tensors = (): Map<string, Tensor> => new Map([...momentsOf(optimizer), ...(stage.tensors?.() ?? [])]);
  const trainer = checkpoint ? await restoreStage(checkpoint.path, tensors()) : null;
  const firstStep = checkpoint?.step ?? 0;
  const isFinished = trainer !== null && trainer.max_steps === firstStep;
  optimizer.step = firstStep;
  const { learningRate, warmupSteps, steps, schedule: shape, finalLearningRateShare: finalShare } = settings;
  const state = { model: stage.contents, tensors };
  const run: Run<Model, Batch> = {
    ...stage,
    optimizer,
    schedule: (step) => learningRateAt(step, { learningRate, warmupSteps, steps, shape, finalShare }),
    maxGradientNorm: settings.maxGradientNorm,
    ...{ seed: settings.seed, steps },
    ...{ evaluateEvery: settings.evaluateEvery, sampleEvery: settings.sampleEvery ?? 0, saveEvery: settings.saveEvery },
    saveMinutes: settings.saveMinutes,
    async save(step) {
      // A run that lost nothing but its final model has in its checkpoint what was done once after the last step.
      if (step === steps && !(isFinished && step === firstStep)) await stage.finish?.();
      await saveStage(step, state, settings, environment);
    },
    log: environment.log,
  };
  const { speed = {} } = stage;
  const resolved = resolvedSettings(settings, stage.parameters, stage.contents().config);
  return { steps, firstStep, resolved, ...speed, train: (signal) => train(run, firstStep, signal) };
}
