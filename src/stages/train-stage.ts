import { join } from "node:path";
import { z } from "zod";
import type { ModelContents, ModelFolder } from "../checkpoint/model-folder.ts";
import { openModelFolder, writeModelFolder } from "../checkpoint/model-folder.ts";
import { openSafetensors } from "../checkpoint/safetensors-file.ts";
import type { TensorSource } from "../checkpoint/tensor-source.ts";
import { SettingsError } from "../core/errors.ts";
import type { Parameter } from "../nn/parameters.ts";
import { AdamW } from "../optim/adamw.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { learningRateAt } from "../optim/schedule.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Metrics, Run } from "../train/run.ts";
import { train } from "../train/train.ts";
import type { AdapterKeeping } from "./adapter-run.ts";
import type { BestMetric } from "./best-model.ts";
import { BestModel } from "./best-model.ts";
import { momentsOf, restoreStage, restoreTensors, saveStage, saveTensors } from "./checkpoints.ts";
import { resolvedSettings } from "./resolved-settings.ts";
import type { StageEnvironment, StageRun } from "./stage.ts";
import { trainingSettings } from "./stage.ts";

const Training = z.object({ ...trainingSettings, sampleEvery: trainingSettings.sampleEvery.optional() });
type Training = z.output<typeof Training>;

/** What a stage that trains with the loop of `train.ts` adds to its settings. */
export interface TrainStage<Model, Batch>
  extends Pick<Run<Model, Batch>, "model" | "objective" | "batches" | "evaluate" | "sample" | "undo"> {
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
  /** How adapters are kept, where they are what is trained. */
  readonly adapters?: AdapterKeeping | null;
  /** How the best model is found; without, `--patience` is refused. */
  readonly best?: BestChoice;
}

/** How the best model of a run is told and put back. */
export interface BestChoice {
  /** Whether there is anything to evaluate on. */
  readonly isEvaluated: boolean;
  /** Default: the lowest `eval_loss`. */
  readonly metric?: BestMetric;
  /** Puts all weights of the model back from the tensors of a folder. */
  readonly restore: (source: TensorSource) => Promise<void>;
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

/**
 * A run that is ready to go on from its checkpoint, if it has one.
 *
 * @throws {SettingsError} when it is to find the best model and evaluates none.
 */
export async function trainStage<Model, Batch>(
  stage: TrainStage<Model, Batch>,
  settings: Training & OptimizerChoice,
  environment: StageEnvironment,
): Promise<StageRun> {
  const optimizer = stage.optimizer ?? newOptimizer(stage.parameters, settings);
  const { folder } = environment;
  const { checkpoint } = folder;
  const best = await bestOf(stage, settings, environment);
  const tensors = (): Map<string, Tensor> =>
    new Map([...momentsOf(optimizer), ...(stage.tensors?.() ?? []), ...(stage.adapters?.tensors() ?? [])]);
  const trainer = checkpoint ? await restoreStage(checkpoint.path, tensors()) : null;
  const firstStep = checkpoint?.step ?? 0;
  const isFinished = trainer !== null && trainer.max_steps === firstStep;
  optimizer.step = firstStep;
  const { learningRate, warmupSteps, steps, schedule: shape, finalLearningRateShare: finalShare } = settings;
  const contents = (): ModelContents => stage.adapters?.contents(stage.contents()) ?? stage.contents();
  const state = { model: contents, tensors };
  const finish = async (): Promise<void> => {
    await best?.restore();
    await stage.adapters?.save();
    await stage.finish?.();
  };
  const run: Run<Model, Batch> = {
    ...stage,
    optimizer,
    schedule: (step) => learningRateAt(step, { learningRate, warmupSteps, steps, shape, finalShare }),
    maxGradientNorm: settings.maxGradientNorm,
    ...{ seed: settings.seed, steps },
    ...{ evaluateEvery: settings.evaluateEvery, sampleEvery: settings.sampleEvery ?? 0, saveEvery: settings.saveEvery },
    saveMinutes: settings.saveMinutes,
    async evaluate(step) {
      const metrics = await stage.evaluate(step);
      await best?.offer(metrics);
      return metrics;
    },
    async save(step) {
      // A run that lost nothing but its final model has in its checkpoint what was done once after the last step.
      if (step === steps && !(isFinished && step === firstStep)) await finish();
      await saveStage(step, state, settings, environment);
    },
    log: environment.log,
  };
  const { speed = {} } = stage;
  const resolved = resolvedSettings(settings, stage.parameters, stage.contents().config);
  return {
    ...{ steps, firstStep, resolved, ...speed },
    async train(signal) {
      const outcome = await train(run, firstStep, best ? AbortSignal.any([signal, best.enough]) : signal);
      if (!best || !outcome.interrupted || signal.aborted) return outcome;
      environment.note(
        `stopped after ${outcome.step} steps: ${settings.patience} evaluations without a better ${best.metric}`,
      );
      await finish();
      await writeModelFolder(folder.finalPath, contents());
      return { ...outcome, interrupted: false };
    },
  };
}

/** The best model of a run, in its folder: `best`, or of a run with adapters all that it had learned then. */
interface BestOfRun {
  readonly metric: string;
  /** Aborts when there has been no better one for long enough. */
  readonly enough: AbortSignal;
  readonly offer: (metrics: Metrics) => Promise<void>;
  /** Puts it back, where there is one. */
  readonly restore: () => Promise<void>;
}

const lowestLoss: BestMetric = { name: "eval_loss", isHigherBetter: false };

async function bestOf<Model, Batch>(
  stage: TrainStage<Model, Batch>,
  { patience, evaluateEvery }: Training,
  { folder }: StageEnvironment,
): Promise<BestOfRun | null> {
  if (patience === 0) return null;
  const { isEvaluated = false, metric = lowestLoss, restore } = stage.best ?? {};
  if (!restore || !isEvaluated || evaluateEvery === 0) {
    throw new SettingsError(
      isEvaluated
        ? `patience: ${patience} evaluations are to be waited for, and there are none on the way; add --evaluate-every 10`
        : "patience: nothing is held out to find the best model by; name data with --validation, hold out a larger share, or leave it out",
    );
  }
  const past = (await folder.history()).filter(({ step }) => step <= (folder.checkpoint?.step ?? -1));
  const best = new BestModel(metric, patience, past);
  const { adapters } = stage;
  const path = join(folder.path, adapters ? "best-adapters.safetensors" : "best");
  const keep = async (): Promise<void> =>
    adapters ? saveTensors(path, adapters.tensors()) : writeModelFolder(path, stage.contents());
  return {
    metric: metric.name,
    enough: best.enough,
    offer: (metrics) => best.offer(metrics, keep),
    async restore() {
      if (!best.exists) return;
      if (adapters) await withTensors(path, (source) => restoreTensors(source, adapters.tensors()));
      else await withModelFolder(path, ({ tensors }) => restore(tensors));
    },
  };
}

async function withTensors(path: string, use: (source: TensorSource) => Promise<void>): Promise<void> {
  const source = await openSafetensors(path);
  await use(source).finally(() => source.close());
}

async function withModelFolder(path: string, use: (folder: ModelFolder) => Promise<void>): Promise<void> {
  const folder = await openModelFolder(path);
  await use(folder).finally(() => folder.close());
}
