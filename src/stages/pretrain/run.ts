import type { Backend } from "../../backend/kernels.ts";
import type { PretrainingData } from "../../data/prepare.ts";
import { preparePretraining } from "../../data/prepare.ts";
import { defaultTokenCache } from "../../data/token-cache.ts";
import type { BatchDivision } from "../../data/windows.ts";
import { parameterCount } from "../../nn/parameters.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { StageEnvironment, StageRun } from "../stage.ts";
import type { TrainStage } from "../train-stage.ts";
import { trainStage } from "../train-stage.ts";
import type { PretrainSettings } from "./settings.ts";

/** One way of pretraining: a model, batches of text, and what it learns from them. */
export interface PretrainingTask<Model, Batch> extends Omit<TrainStage<Model, Batch>, "batches" | "speed" | "finish"> {
  readonly data: PretrainingData;
  /** Micro-batches of a step. */
  readonly batchAt: (step: number, division: BatchDivision) => readonly Batch[];
  /** Tokens that go through the model with a batch. */
  readonly tokensOf: (batch: Batch) => number;
  readonly operationsPerToken?: number;
  /** Whether step sizes are relative to the size of the weights where settings do not say. */
  readonly scaleParameter?: boolean;
}

/** A run of a task that closes its data when it ends. */
export async function pretrainingRun<Model extends { readonly settings: { readonly vocabularySize: number } }, Batch>(
  task: PretrainingTask<Model, Batch>,
  settings: PretrainSettings,
  environment: StageEnvironment,
  backend: Backend,
): Promise<StageRun> {
  const { batchSize, accumulation: microBatches, steps } = settings;
  const { data, batchAt, tokensOf, operationsPerToken, scaleParameter: isUsual = false, ...stage } = task;
  const { scaleParameter = isUsual } = settings;
  environment.note(describe(task.model, data));
  const peakOperationsPerSecond = backend.peak?.();
  const run = await trainStage(
    {
      ...stage,
      batches: (step) =>
        batchAt(step, { batchSize: batchSize * microBatches, microBatches }).map((batch) => ({
          ...{ batch, share: 1 / microBatches, tokens: tokensOf(batch) },
        })),
      speed: {
        ...(operationsPerToken === undefined ? {} : { operationsPerToken }),
        ...(peakOperationsPerSecond === undefined ? {} : { peakOperationsPerSecond }),
      },
    },
    {
      ...{ ...settings, scaleParameter },
      learningRate: settings.learningRate ?? (scaleParameter ? 1e-2 : 5e-4),
      warmupSteps: settings.warmupSteps ?? Math.min(100, Math.floor(steps / 20)),
    },
    environment,
  );
  return { ...run, train: (signal) => run.train(signal).finally(data.close) };
}

/** Batches that held-out windows are evaluated in: all of them, or as many as `evaluationTokens` allows. */
export function evaluationSteps(
  windows: number,
  context: number,
  { batchSize, evaluationTokens }: Pick<PretrainSettings, "batchSize" | "evaluationTokens">,
): number {
  const wanted = evaluationTokens > 0 ? Math.ceil(evaluationTokens / context) : windows;
  return Math.max(1, Math.floor(Math.min(windows, wanted) / batchSize));
}

/** Where a run's text is, and what of it is held out. */
type TextChoice = Pick<
  PretrainSettings,
  "data" | "validation" | "validationFraction" | "output" | "textColumn" | "badRows"
>;

/** The text of a run as token files. */
export async function prepareText(
  settings: TextChoice,
  tokenizer: Tokenizer,
  { note, signal }: StageEnvironment,
): Promise<PretrainingData> {
  let source = "";
  return preparePretraining({
    ...{ data: settings.data, validation: settings.validation, validationFraction: settings.validationFraction },
    ...{ tokenizer, cacheFolder: defaultTokenCache(settings.output), signal },
    ...{ textColumn: settings.textColumn, badRows: settings.badRows, onNote: note },
    onProgress(progress) {
      if (progress.source !== source) note(`encoding ${progress.source}`);
      source = progress.source;
    },
  });
}

function describe(
  model: { readonly settings: { readonly vocabularySize: number } },
  { training, validation }: PretrainingData,
): string {
  const count = (files: readonly { readonly length: number }[]): string =>
    files.reduce((sum, { length }) => sum + length, 0).toLocaleString("en-US");
  const held = validation.length > 0 ? `${count(validation)} to evaluate on` : "none held out";
  return (
    `${parameterCount(model).toLocaleString("en-US")} parameters, vocabulary of ${model.settings.vocabularySize}; ` +
    `${count(training.map(({ file }) => file))} tokens to train on, ${held}`
  );
}
