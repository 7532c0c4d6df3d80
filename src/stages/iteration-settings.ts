import { z } from "zod";
import { machineSettings } from "../backend/machine-settings.ts";
import { SettingsError } from "../core/errors.ts";
import type { ChatEncoder } from "../text/encode-chat.ts";
import type { AnswerSampling } from "../train/sample-answers.ts";
import { adapterSettingsWithoutDropout, addedAdapterSettings } from "./adapter-settings.ts";
import { promptSettings } from "./asked-prompts.ts";
import { runSettings, trainingSettings } from "./stage.ts";

const { schedule, warmupSteps, maxGradientNorm, weightDecay, adamBeta2, learningRate } = trainingSettings;
const { sampleEvery, saveEvery, saveMinutes, saveTotalLimit, seed, recompute } = trainingSettings;

/** Settings of a stage that learns from its own answers, to spread into its schema; it overrides defaults and spellings. */
export const iterationSettings = {
  ...promptSettings,
  ...runSettings,
  steps: z
    .int()
    .nonnegative()
    .default(100)
    .describe("iterations: answers are sampled, then learned from; 0 saves the model as it is")
    .meta({ aliases: ["max_steps"], group: "Training" }),
  answers: z
    .int()
    .positive()
    .max(100_000)
    .default(64)
    .describe("answers sampled in an iteration")
    .meta({ group: "Training" }),
  batchSize: z
    .int()
    .positive()
    .default(16)
    .describe("answers that go through a model at once when judging and learning")
    .meta({ aliases: ["per_device_train_batch_size"], group: "Training" }),
  miniBatches: z.int().positive().max(100_000).default(1).describe("updates in a pass").meta({ group: "Training" }),
  learningRate,
  schedule: schedule.default("linear"),
  warmupSteps,
  weightDecay: weightDecay.default(0),
  adamBeta2,
  maxGradientNorm,
  samplingBatchSize: z
    .int()
    .positive()
    .nullable()
    .default(null)
    .describe("answers decoded side by side; default: all")
    .meta({ group: "Answers" }),
  maxNewTokens: z.int().positive().default(128).describe("longest answer, in tokens").meta({ group: "Answers" }),
  temperature: z.number().positive().default(1).describe("of sampling, and of all log-probabilities").meta({
    group: "Answers",
  }),
  ...addedAdapterSettings,
  ...adapterSettingsWithoutDropout,
  recompute,
  ...{ sampleEvery, saveEvery, saveMinutes, saveTotalLimit, seed },
  ...machineSettings,
} as const;

const Iteration = z.object(iterationSettings);
type Iteration = z.output<typeof Iteration>;

/** @throws {SettingsError} when an iteration has fewer answers than updates. */
export function refuseEmptyUpdates({ miniBatches, answers }: Pick<Iteration, "miniBatches" | "answers">): void {
  if (miniBatches <= answers) return;
  throw new SettingsError(`mini-batches: ${miniBatches} are more than the ${answers} answers of an iteration`);
}

/** How the answers of an iteration are drawn: from all that the model finds possible. */
export function answerSampling(
  {
    temperature,
    maxNewTokens,
    samplingBatchSize,
    answers,
  }: Pick<Iteration, "temperature" | "maxNewTokens" | "samplingBatchSize" | "answers">,
  encoder: ChatEncoder,
): Omit<AnswerSampling, "seed"> {
  return {
    sampling: { temperature, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 },
    ...{ maxNewTokens, endTokens: encoder.endTokens(), tokenizer: encoder.tokenizer },
    batchSize: samplingBatchSize ?? answers,
  };
}
