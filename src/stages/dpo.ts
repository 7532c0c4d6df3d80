import { z } from "zod";
import { openMachine } from "../backend/machine-settings.ts";
import { SettingsError } from "../core/errors.ts";
import type { EncodedPreference } from "../data/encoded-rankings.ts";
import { encodePreferences, longestAnswer } from "../data/encoded-rankings.ts";
import { holdOut } from "../data/hold-out.ts";
import { pairsOf, readRankings } from "../data/rankings.ts";
import type { Assistant } from "../generate/assistant.ts";
import { assistantContents, openTrainee, refuseOtherTokenizer } from "../generate/assistant.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { parameters } from "../nn/parameters.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { epochBatches, epochSteps } from "../train/epoch-batches.ts";
import type { DpoOptions } from "../train/objectives/dpo.ts";
import type { ReferencedPair } from "../train/preference-batch.ts";
import { dpoObjective, referencePairs } from "../train/preference-batch.ts";
import type { Metrics } from "../train/run.ts";
import { refuseLargeTraining } from "./plan/fit.ts";
import {
  badRowSettings,
  contextSettings,
  longestContext,
  longRowsNote,
  readNotingBad,
  resolveContext,
} from "./row-settings.ts";
import type { StageEnvironment } from "./stage.ts";
import { defineStage, epochSettings, runSettings, trainingSettings, trainingSettingsWithoutSamples } from "./stage.ts";
import { trainStage } from "./train-stage.ts";

const DpoSettings = z.object({
  model: z.string().describe("model folder to start from").meta({ placeholder: "folder", isPath: true }),
  reference: z
    .string()
    .nullable()
    .default(null)
    .describe("model folder to stay near to; default: the one to start from")
    .meta({ aliases: ["ref_model"], placeholder: "folder", isPath: true }),
  data: z
    .array(z.string())
    .min(1)
    .describe("preference pairs, or rankings, which give all their pairs: files of JSON, CSV or Parquet, or globs")
    .meta({ placeholder: "file", isData: true }),
  validation: z
    .array(z.string())
    .default([])
    .describe("pairs to evaluate on; without, a share of the prompts is held out")
    .meta({ placeholder: "file", isData: true }),
  validationShare: z.number().min(0).lt(1).default(0.05).describe("share of the prompts that is held out"),
  loss: z
    .enum(["sigmoid", "ipo", "hinge"])
    .default("sigmoid")
    .describe("loss of the margin between two answers")
    .meta({ aliases: ["loss_type"] }),
  beta: z.number().positive().default(0.1).describe("strength of the pull to the reference, 1/nat"),
  labelSmoothing: z
    .number()
    .min(0)
    .lt(0.5)
    .default(0)
    .describe("share of pairs believed to be the wrong way round; sigmoid only"),
  ...badRowSettings,
  ...contextSettings,
  longRows: z.enum(["error", "skip"]).default("error").describe("what to do with a pair longer than the context"),
  ...runSettings,
  ...trainingSettingsWithoutSamples,
  batchSize: trainingSettings.batchSize.default(8).describe("pairs that go through the model at once"),
  learningRate: trainingSettings.learningRate.default(1e-6),
  weightDecay: trainingSettings.weightDecay.default(0),
  ...epochSettings,
});
type DpoSettings = z.output<typeof DpoSettings>;

/**
 * Direct preference optimisation. What the reference says of each pair is computed once, before training, so that one
 * model is in memory while it trains.
 *
 * @see Rafailov et al. (2023), arXiv:2305.18290.
 */
export const dpo = defineStage({
  name: "dpo",
  summary: "learn from preference pairs without a reward model",
  settings: DpoSettings,
  beginning: ["model"],
  examples: ["stemma dpo --model runs/sft/final --data rankings.jsonl --output runs/dpo"],
  async prepare(settings, environment) {
    if (settings.loss !== "sigmoid" && settings.labelSmoothing > 0) {
      throw new SettingsError(`label-smoothing: is for the sigmoid loss, not for ${settings.loss}; leave it at 0`);
    }
    const backend = await openMachine(settings, environment);
    const options: DpoOptions = { ...settings, kind: settings.loss };
    const reference = await openTrainee(settings.reference ?? settings.model, backend);
    const { training, heldOut, context } = await readPairs(settings, reference, options, environment);
    for (const parameter of parameters(reference.model).values()) parameter.release();
    const policy = await openTrainee(environment.folder.checkpoint?.path ?? settings.model, backend);
    refuseOtherTokenizer("reference", policy.encoder.tokenizer, reference.encoder.tokenizer);
    const longest = longestAnswer(training.flatMap(({ chosen, rejected }) => [chosen, rejected]));
    await refuseLargeTraining({ stage: "dpo", ...policy, batchSize: settings.batchSize, longest });
    const steps = epochSteps(training.length, settings);
    const batches = epochBatches(training, settings, (batch) => ({ batch, tokens: tokensOf(batch) }));
    const settled = { ...settings, steps, context };
    return trainStage(
      {
        model: policy.model,
        parameters: parameters(policy.model),
        objective: (model, pairs) => dpoObjective(model, pairs, options),
        batches,
        evaluate: () => evaluate(policy.model, heldOut, settings.batchSize, options),
        sample: async () => {},
        contents: () => assistantContents(policy),
      },
      settled,
      environment,
    );
  },
});

/** What a run learns from and is measured by, and the context that it takes. */
interface DpoData {
  readonly training: readonly ReferencedPair[];
  readonly heldOut: readonly ReferencedPair[];
  readonly context: number;
}

async function readPairs(
  settings: DpoSettings,
  { model, encoder }: Assistant,
  options: DpoOptions,
  { note, signal }: StageEnvironment,
): Promise<DpoData> {
  const { context: most } = model.settings;
  const limit = longestContext(settings.context, most);
  let longestRow = 0;
  const read = (paths: readonly string[]): Promise<readonly EncodedPreference[]> =>
    readNotingBad(settings, note, async (bad) => {
      const pairs = (await readRankings(paths, bad)).flatMap(pairsOf);
      const { items, skipped, longest } = encodePreferences(pairs, encoder, { ...settings, context: limit, bad });
      longestRow = Math.max(longestRow, longest);
      const about = { total: pairs.length, noun: "pairs", longest, context: limit, model: most };
      const long = longRowsNote({ ...about, count: skipped, fate: "left out" });
      if (long) note(long);
      return items;
    });
  const all = await read(settings.data);
  const parts =
    settings.validation.length > 0
      ? { training: all, heldOut: await read(settings.validation) }
      : holdOut(all, settings.validationShare, ({ chosen }) => String(chosen.prompt));
  if (parts.training.length === 0) {
    throw new SettingsError(`validation-share: ${settings.validationShare} holds out all pairs; use a smaller share`);
  }
  return {
    training: await referencePairs(model, parts.training, settings.batchSize, options, signal),
    heldOut: await referencePairs(model, parts.heldOut, settings.batchSize, options, signal),
    context: resolveContext(settings.context, [longestRow], most),
  };
}

function tokensOf(pairs: readonly ReferencedPair[]): number {
  const answers = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  return answers.reduce((sum, { prompt, answer }) => sum + prompt.length + answer.length, 0);
}

/** The loss and the metrics of training, on pairs that are held out. */
async function evaluate(
  model: LanguageModel,
  pairs: readonly ReferencedPair[],
  batchSize: number,
  options: DpoOptions,
): Promise<Metrics> {
  const sums: Metrics = {};
  for (let first = 0; first < pairs.length; first += batchSize) {
    const batch = pairs.slice(first, first + batchSize);
    const { loss, metrics } = withoutGradients(() => tensorScope(() => dpoObjective(model, batch, options)));
    for (const [name, tensor] of Object.entries({ loss, ...metrics })) {
      sums[`eval_${name}`] = (sums[`eval_${name}`] ?? 0) + ((await tensor.item()) * batch.length) / pairs.length;
      tensor.release();
    }
  }
  return sums;
}
