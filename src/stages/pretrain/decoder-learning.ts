import { SettingsError } from "../../core/errors.ts";
import type { ContinuedBatch } from "../../data/continued-windows.ts";
import { continuedWindows, stretchFor } from "../../data/continued-windows.ts";
import { evaluationWindows } from "../../data/evaluation-windows.ts";
import { prefixWindows } from "../../data/prefix-windows.ts";
import type { PretrainingData } from "../../data/prepare.ts";
import { trainingWindows } from "../../data/windows.ts";
import type { LanguageModel, RecurrentModel } from "../../models/language-model.ts";
import { CarriedState } from "../../train/carried-state.ts";
import type { PredictionBatch } from "../../train/objectives/next-token.ts";
import { continuedLoss, trainingLoss } from "../../train/objectives/next-token.ts";
import { evaluateContinuedText, evaluateText } from "../../train/text-loss.ts";
import type { PretrainingTask } from "./run.ts";
import type { PretrainSettings } from "./settings.ts";

/** How a decoder learns from text, and how it is measured. */
export type DecoderLearning<Batch extends PredictionBatch> = Pick<
  PretrainingTask<LanguageModel, Batch>,
  "batchAt" | "objective" | "evaluate" | "tensors" | "undo"
>;

/** From windows of text that know nothing of each other. */
export function windowLearning(
  model: LanguageModel,
  data: PretrainingData,
  context: number,
  { batchSize, recompute, seed, evaluationTokens }: PretrainSettings,
): DecoderLearning<PredictionBatch> {
  const text = { sources: data.training, context, seed };
  const windows = model.readsPrefix ? prefixWindows(text) : trainingWindows(text);
  const maxTokens = evaluationTokens > 0 ? evaluationTokens : undefined;
  const evaluation =
    data.validation.length > 0 ? evaluationWindows({ files: data.validation, context, maxTokens }) : null;
  return {
    batchAt: windows.batchAt,
    objective: (of, batch, random) => trainingLoss(of, batch, random, { recompute }),
    evaluate: async () => (evaluation ? evaluateText(model, evaluation, batchSize) : {}),
  };
}

/**
 * From windows that go on where those of the step before ended, with the state that they ended in.
 *
 * @throws {SettingsError} when a prefix is asked for, which no state can see at once.
 * @see {@link continuedWindows}
 */
export function carriedLearning(
  model: RecurrentModel,
  data: PretrainingData,
  context: number,
  { objective, batchSize, accumulation, seed, evaluationTokens }: PretrainSettings,
): DecoderLearning<ContinuedBatch> {
  if (objective === "prefix") {
    throw new SettingsError(
      "objective: prefix needs a model with attention, this one reads from the beginning to the end; leave --objective out",
    );
  }
  const shortest = Math.min(...data.training.map(({ file }) => file.length));
  const stretch = stretchFor(shortest, context, batchSize * accumulation);
  const windows = continuedWindows({ sources: data.training, context, seed, stretch });
  const carried = new CarriedState(model, accumulation, batchSize);
  const maxTokens = evaluationTokens > 0 ? evaluationTokens : undefined;
  const held = data.validation.reduce((sum, { length }) => sum + length, 0);
  const long = context * Math.min(stretch, stretchFor(Math.min(held, maxTokens ?? held), context, batchSize));
  const evaluation = held > 0 ? evaluationWindows({ files: data.validation, context: long, maxTokens }) : null;
  return {
    batchAt: windows.batchAt,
    objective: (_, batch, random) => {
      const before = batch.begins ? model.newState(batch.batch) : carried.before(batch.part);
      const { loss, state } = continuedLoss(model, batch, before, random);
      carried.replace(batch.part, state);
      return loss;
    },
    evaluate: async () => (evaluation ? evaluateContinuedText(model, evaluation, batchSize, context) : {}),
    tensors: () => carried.tensors(),
    undo: () => carried.undo(),
  };
}
