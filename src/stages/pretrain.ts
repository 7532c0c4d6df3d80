import { z } from "zod";
import { evaluationWindows } from "../data/evaluation-windows.ts";
import type { PretrainingData } from "../data/prepare.ts";
import { preparePretraining } from "../data/prepare.ts";
import { defaultTokenCache } from "../data/token-cache.ts";
import type { TokenBatch } from "../data/windows.ts";
import { trainingWindows } from "../data/windows.ts";
import { SamplingSettings } from "../generate/sampling.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { operationsPerToken } from "../models/operations.ts";
import { parameterCount, parameters } from "../nn/parameters.ts";
import { nextTokenLoss } from "../train/objectives/next-token.ts";
import { sampleAnswers } from "../train/sample-answers.ts";
import { evaluateText } from "../train/text-loss.ts";
import type { Assistant } from "./assistant.ts";
import { assistantContents, openStageBackend } from "./assistant.ts";
import { openPretraining, shapeSettings } from "./pretraining-model.ts";
import type { StageEnvironment } from "./stage.ts";
import { defineStage, runSettings, trainingSettings } from "./stage.ts";
import { trainStage } from "./train-stage.ts";

const PretrainSettings = z.object({
  model: z
    .string()
    .min(1)
    .default("gpt2")
    .describe("family of a new model (gpt1, gpt2, llama, …), or a model folder to go on training")
    .meta({ placeholder: "name|folder" }),
  data: z
    .array(z.string().min(1))
    .min(1)
    .describe("text or JSONL files, folders or globs; PATH=WEIGHT for shares")
    .meta({ placeholder: "path" }),
  validation: z
    .array(z.string().min(1))
    .default([])
    .describe("text to evaluate on; without, a part of the data is held out")
    .meta({ placeholder: "path" }),
  validationFraction: z
    .number()
    .min(0)
    .lt(0.5)
    .optional()
    .describe("share of the data that is held out (default: 0.1, and at most 16 million characters)"),
  tokenizer: z
    .string()
    .min(1)
    .optional()
    .describe("characters, bpe-N to learn N tokens from the data, or a folder (default: bpe-4096, or the model's own)")
    .meta({ placeholder: "name|folder" }),
  ...shapeSettings,
  ...runSettings,
  ...trainingSettings,
  warmupSteps: z
    .int()
    .nonnegative()
    .optional()
    .describe("steps over which the learning rate rises from 0 (default: a twentieth of the steps, at most 100)")
    .meta({ group: "Training" }),
  finalLearningRateShare: trainingSettings.finalLearningRateShare.default(0.1),
  adamBeta2: trainingSettings.adamBeta2.default(0.99),
  recompute: z
    .boolean()
    .default(false)
    .describe("compute each block twice instead of keeping its activations: less memory, a third more time")
    .meta({ aliases: ["gradient_checkpointing"], group: "Machine" }),
  evaluationTokens: z
    .int()
    .nonnegative()
    .default(0)
    .describe("most tokens to evaluate on; 0 is all that is held out")
    .meta({ group: "Run" }),
  prompts: z
    .array(z.string())
    .default([])
    .describe("texts to continue as samples (default: none, from the start)")
    .meta({
      group: "Run",
    }),
  sampleTokens: z.int().positive().default(100).describe("length of a sample, in tokens").meta({ group: "Run" }),
});
type PretrainSettings = z.output<typeof PretrainSettings>;

/**
 * Next-token pretraining of a new model, or of one that exists, on text.
 *
 * @see Radford et al. (2018), section 3.1.
 */
export const pretrain = defineStage({
  name: "pretrain",
  summary: "train a language model on text",
  settings: PretrainSettings,
  examples: [
    "stemma pretrain --model gpt2 --data book.txt --tokenizer bpe-2048 --steps 1000 --output runs/book",
    "stemma pretrain --output runs/book --resume",
  ],
  async prepare(settings, environment) {
    const backend = await openStageBackend(settings, environment);
    const opened = await openPretraining(settings, environment, backend);
    const { model } = opened;
    const context = settings.context ?? Math.min(model.settings.context, 256);
    const data = await prepareText(settings, opened, environment);
    const { batchSize, accumulation: microBatches, seed, recompute, steps } = settings;
    const windows = trainingWindows({ sources: data.training, context, seed });
    const maxTokens = settings.evaluationTokens > 0 ? settings.evaluationTokens : undefined;
    const evaluation =
      data.validation.length > 0 ? evaluationWindows({ files: data.validation, context, maxTokens }) : null;
    environment.note(describe(model, data));
    const peakOperationsPerSecond = backend.peak?.();
    const run = await trainStage(
      {
        model,
        parameters: parameters(model),
        objective: (of: LanguageModel, batch: TokenBatch, random) => nextTokenLoss(of, batch, random, { recompute }),
        batches: (step) =>
          windows
            .batchAt(step, { batchSize: batchSize * microBatches, microBatches })
            .map((batch) => ({ batch, share: 1 / microBatches, tokens: batch.batch * batch.time })),
        evaluate: async () => (evaluation ? evaluateText(model, evaluation, batchSize) : {}),
        sample: (step) => sample(opened, data, step, settings, environment),
        contents: () => assistantContents(opened),
        speed: {
          operationsPerToken: operationsPerToken(model, context),
          ...(peakOperationsPerSecond === undefined ? {} : { peakOperationsPerSecond }),
        },
      },
      { ...settings, warmupSteps: settings.warmupSteps ?? Math.min(100, Math.floor(steps / 20)) },
      environment,
    );
    return { ...run, train: (signal) => run.train(signal).finally(data.close) };
  },
});

async function prepareText(
  settings: PretrainSettings,
  { encoder }: Assistant,
  { note }: StageEnvironment,
): Promise<PretrainingData> {
  let source = "";
  return preparePretraining({
    data: settings.data,
    validation: settings.validation,
    validationFraction: settings.validationFraction,
    tokenizer: encoder.tokenizer,
    cacheFolder: defaultTokenCache(settings.output),
    onProgress(progress) {
      if (progress.source !== source) note(`encoding ${progress.source}`);
      source = progress.source;
    },
  });
}

function describe(model: LanguageModel, { training, validation }: PretrainingData): string {
  const count = (files: readonly { readonly length: number }[]): string =>
    files.reduce((sum, { length }) => sum + length, 0).toLocaleString("en-US");
  const held = validation.length > 0 ? `${count(validation)} to evaluate on` : "none held out";
  return (
    `${parameterCount(model).toLocaleString("en-US")} parameters, vocabulary of ${model.settings.vocabularySize}; ` +
    `${count(training.map(({ file }) => file))} tokens to train on, ${held}`
  );
}

/** Continuations of the prompts or, where there are none, one text from its beginning. */
async function sample(
  { model, encoder: { tokenizer } }: Assistant,
  { training, validation }: PretrainingData,
  step: number,
  { prompts, sampleTokens: maxNewTokens, seed }: PretrainSettings,
  environment: StageEnvironment,
): Promise<void> {
  const start = Int32Array.of(tokenizer.endOfText ?? firstToken(validation[0] ?? training[0]?.file));
  const from = prompts.length > 0 ? prompts.map((prompt) => tokenizer.encode(prompt)) : [start];
  const endTokens = new Set(tokenizer.endOfText === null ? [] : [tokenizer.endOfText]);
  const options = { maxNewTokens, seed, endTokens, batchSize: from.length };
  const sampling = SamplingSettings.parse({ temperature: 0.8, topP: 0.95 });
  for (const { prompt, answer } of await sampleAnswers(model, from, { ...options, sampling })) {
    const shown = (ids: Int32Array): string => tokenizer.decode(ids, { skipSpecialTokens: true });
    environment.sample(step, { prompt: shown(prompt), text: shown(answer) });
  }
}

function firstToken(file: PretrainingData["validation"][number] | undefined): number {
  const first = new Int32Array(1);
  file?.read(0, first);
  return first[0] ?? 0;
}
