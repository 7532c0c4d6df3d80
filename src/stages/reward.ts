import { join } from "node:path";
import { z } from "zod";
import { openMachine } from "../backend/machine-settings.ts";
import { mostOf } from "../core/most-of.ts";
import { Random } from "../core/random.ts";
import { readConversations } from "../data/conversations.ts";
import type { EncodedAnswer, EncodedRanking } from "../data/encoded-rankings.ts";
import { encodeAnswer, encodeRankings, longestAnswer } from "../data/encoded-rankings.ts";
import { readRankings } from "../data/rankings.ts";
import type { RewardCheck } from "../eval/reward-check.ts";
import { checkRewards } from "../eval/reward-check.ts";
import { rewardCheckPicture } from "../eval/reward-check-picture.ts";
import { rewardCheckLines } from "../eval/reward-check-text.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { rewardContents, withPaddingToken } from "../generate/assistant.ts";
import { encoderIn } from "../models/encoder-in.ts";
import type { TensorBinding } from "../models/family.ts";
import type { LoadedRewardModel, RewardModel } from "../models/reward-model.ts";
import { loadRewardModel, loadRewardWeights, withRows } from "../models/reward-model.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { isLearnt } from "../text/chat-message.ts";
import type { ChatEncoder } from "../text/encode-chat.ts";
import { answerScores, readAnswers } from "../train/answers.ts";
import { epochBatches, epochSteps } from "../train/epoch-batches.ts";
import { rankingObjective, scoreRankings } from "../train/ranking-batch.ts";
import type { AdapterChoice, AdapterKeeping } from "./adapter-run.ts";
import { adaptFor, addedAtStart, keepingOf, refuseUnkept, startOf, weightsOf } from "./adapter-run.ts";
import {
  adapterSettingsWithoutDropout,
  addedAdapterSettings,
  learningRateSetting,
  rateOf,
} from "./adapter-settings.ts";
import { readFitting } from "./fitted-context.ts";
import type { RowReader } from "./fitting-rows.ts";
import { readHeldOutFittingRows } from "./fitting-rows.ts";
import { heldOutSettings } from "./held-out.ts";
import { measurement } from "./measurement.ts";
import { badRowSettings, contextSettings, readNotingBad } from "./row-settings.ts";
import type { StageEnvironment, StageRun } from "./stage.ts";
import { defineStage, epochSettings, runSettings, trainingSettings, trainingSettingsWithoutSamples } from "./stage.ts";
import { trainStage } from "./train-stage.ts";

/** Learning rate of models that are trained whole. */
const usualRate = 1e-4;

const RewardSettings = z.object({
  model: z
    .string()
    .describe("model folder to start from: the SFT model, a smaller one of the same tokenizer, or a reward model")
    .meta({ placeholder: "folder", isPath: true }),
  data: z
    .array(z.string())
    .min(1)
    .describe("rankings or pairs: files of JSON, CSV or Parquet, or globs")
    .meta({ placeholder: "file", isData: true }),
  ...heldOutSettings({ files: "rankings to check on", of: "prompts", share: 0.1 }),
  check: z.boolean().default(false).describe("train nothing: say how good the reward model is, on all of the data"),
  demonstrations: z
    .array(z.string())
    .default([])
    .describe("conversations whose answers shall score 0 on average; without, the best answers of the data")
    .meta({ placeholder: "file", isData: true }),
  marginPerRank: z
    .number()
    .nonnegative()
    .default(0)
    .describe("by how much rewards should differ for each rank between two answers"),
  centerRewardsCoefficient: z
    .number()
    .nonnegative()
    .default(0)
    .describe("pull of each pair's summed reward to 0; TRL recommends 0.01"),
  ...badRowSettings,
  ...contextSettings,
  longRows: z.enum(["error", "skip"]).default("error").describe("what to do with an answer longer than the context"),
  ...addedAdapterSettings,
  ...adapterSettingsWithoutDropout,
  ...runSettings,
  ...trainingSettingsWithoutSamples,
  batchSize: trainingSettings.batchSize
    .default(8)
    .describe("prompts that go through the model at once, all their answers"),
  learningRate: learningRateSetting(usualRate),
  weightDecay: trainingSettings.weightDecay.default(0),
  ...epochSettings,
});
type RewardSettings = z.output<typeof RewardSettings>;

/**
 * Reward modelling: a language model with a scalar head learns which answer people prefer.
 *
 * @see Ouyang et al. (2022), section 3.5, arXiv:2203.02155; Touvron et al. (2023), section 3.2.2, arXiv:2307.09288.
 */
export const reward = defineStage({
  name: "reward",
  summary: "learn from rankings which answer people prefer",
  settings: RewardSettings,
  beginning: ["model", "adapter"],
  examples: [
    "stemma reward --model runs/sft/final --data rankings.jsonl --output runs/reward",
    "stemma reward --check --model runs/reward/final --data held-out.jsonl --output runs/check",
  ],
  async prepare(settings, environment) {
    const backend = await openMachine(settings, environment);
    const from = startOf(settings, environment);
    const random = settings.check ? null : new Random(settings.seed);
    const weights = settings.check ? "stored" : weightsOf(settings);
    const adapters = addedAtStart(settings, environment);
    const opened = await loadRewardModel(from, backend, random, { weights, adapters });
    if (!settings.check) {
      await refuseUnkept({ family: opened.family, model: opened.model.body }, settings, environment);
    }
    const own = await encoderIn(from);
    const encoder = settings.check ? own : withPaddingToken(own);
    const rows = opened.model.body.settings.vocabularySize;
    const { model, family } = await withRows(opened, encoder.tokenizer.vocabularySize);
    const enlarged = model.body.settings.vocabularySize > rows ? [model.body.tokenEmbedding] : [];
    const read = (asked: RewardSettings, own: StageEnvironment): Promise<RewardData> =>
      readData(asked, model, encoder, own);
    if (settings.check) {
      const all = await read({ ...settings, validation: [], validationShare: 0 }, environment);
      return checkRun(model, all.training, settings.batchSize, environment);
    }
    const { batchSize, recompute } = settings;
    const { training, heldOut, context } = await readFitting(settings, environment, read, (data) => {
      const sizes = sizesOf(data.training, batchSize);
      return { stage: "reward", ...settings, family, model: model.body, ...sizes };
    });
    adaptFor(settings, model.body);
    const steps = epochSteps(training.length, settings);
    const batches = epochBatches(training, settings, (batch) => ({ batch, tokens: tokensOf(batch) }));
    const demonstrations = await readDemonstrations(settings, encoder, training, environment);
    const options = { marginPerRank: settings.marginPerRank, centering: settings.centerRewardsCoefficient, recompute };
    const settled = { ...settings, steps, context, learningRate: rateOf(settings, usualRate) };
    const checked = measurement(settings, () => check(model, heldOut, batchSize));
    const run = await trainStage(
      {
        model,
        parameters: model.trainable(),
        objective: (trained, rankings) => rankingObjective(trained, rankings, options),
        batches,
        async evaluate() {
          if (heldOut.length === 0) return {};
          const { all, withoutAdjacent } = await checked.now();
          return { eval_accuracy: all.accuracy, eval_accuracy_without_adjacent: withoutAdjacent.accuracy };
        },
        sample: async () => {},
        contents: () => rewardContents(family, model, encoder),
        adapters: rewardKeeping({ model, family }, settings, environment, enlarged),
        best: {
          isEvaluated: heldOut.length > 0,
          metric: { name: "eval_accuracy", isHigherBetter: true },
          restore: (source) => loadRewardWeights({ model, family }, source),
        },
        async finish() {
          await centre(model, demonstrations, batchSize);
          if (heldOut.length > 0) await report(await checked.final(), environment); // differences alone: no centre matters
        },
      },
      settled,
      environment,
    );
    if (settings.loraRank > 0) [model.shift = 0] = await model.bias.floats(); // a checkpoint may have brought it
    return run;
  },
});

/** The bias is not trained, but moved at the end: a checkpoint holds it beside what is. */
function rewardKeeping(
  { model, family }: LoadedRewardModel,
  choice: AdapterChoice & Pick<RewardSettings, "model">,
  environment: StageEnvironment,
  enlarged: readonly Tensor[],
): AdapterKeeping | null {
  const bindings = (): readonly TensorBinding[] => family.tensors(model.body);
  const head = new Map([["score.weight", model.score]]);
  const keeping = keepingOf({ model, bindings, taskType: "SEQ_CLS", head, enlarged }, choice, environment);
  return keeping && { ...keeping, tensors: () => new Map([...keeping.tensors(), ["bias", model.bias]]) };
}

/** Which rankings, and what is done with those that cannot be used. */
type RankingChoice = Pick<
  RewardSettings,
  "data" | "validation" | "validationShare" | "context" | "longRows" | "badRows"
>;

/** What a run learns from and is measured by, and the context that it takes. */
interface RewardData {
  readonly training: readonly EncodedRanking[];
  readonly heldOut: readonly EncodedRanking[];
  readonly context: number;
}

function readData(
  settings: RankingChoice,
  model: RewardModel,
  encoder: ChatEncoder,
  environment: StageEnvironment,
): Promise<RewardData> {
  const reader: RowReader<EncodedRanking> = {
    noun: "rankings",
    most: model.body.settings.context,
    async read(paths, options) {
      const rankings = await readRankings(paths, options.bad);
      return { ...(await encodeRankings(rankings, encoder, options)), total: rankings.length };
    },
  };
  const promptOf = ({ answers }: EncodedRanking): string => String(answers[0]?.prompt);
  return readHeldOutFittingRows(settings, reader, promptOf, environment);
}

/** What goes through the model at once, in pairs of answers, and the longest of them. */
function sizesOf(rankings: readonly EncodedRanking[], batchSize: number): { batchSize: number; longest: number } {
  const most = mostOf(rankings, ({ answers }) => answers.length);
  const longest = longestAnswer(rankings.flatMap(({ answers }) => answers));
  return { batchSize: Math.ceil((batchSize * most) / 2), longest };
}

function tokensOf(rankings: readonly EncodedRanking[]): number {
  const answers = rankings.flatMap((ranking) => ranking.answers);
  return answers.reduce((sum, { prompt, answer }) => sum + prompt.length + answer.length, 0);
}

async function check(model: RewardModel, rankings: readonly EncodedRanking[], batchSize: number): Promise<RewardCheck> {
  const scores = await scoreRankings(model, rankings, 4 * batchSize);
  return checkRewards(
    rankings.map(({ ranks, answers }, i) => ({
      ranks,
      scores: scores[i] ?? [],
      lengths: answers.map(({ answer }) => answer.length),
    })),
  );
}

/** Writes the check beside the run's logs, as numbers and as a picture, and says it in words. */
async function report(result: RewardCheck, { folder, note }: StageEnvironment): Promise<void> {
  await writeFileAtomic(join(folder.path, "reward-check.json"), `${JSON.stringify(result, null, 2)}\n`);
  await writeFileAtomic(join(folder.path, "reward-check.svg"), rewardCheckPicture(result));
  for (const line of rewardCheckLines(result)) note(line);
  note(`picture             ${join(folder.path, "reward-check.svg")}`);
}

function checkRun(
  model: RewardModel,
  rankings: readonly EncodedRanking[],
  batchSize: number,
  environment: StageEnvironment,
): StageRun {
  return {
    ...{ steps: 0, firstStep: 0, makesNoModel: true },
    async train() {
      const result = await check(model, rankings, batchSize);
      environment.log(0, {
        eval_accuracy: result.all.accuracy,
        eval_accuracy_without_adjacent: result.withoutAdjacent.accuracy,
      });
      await report(result, environment);
      return { step: 0, interrupted: false };
    },
  };
}

async function readDemonstrations(
  { demonstrations, badRows }: Pick<RewardSettings, "demonstrations" | "badRows">,
  encoder: ChatEncoder,
  rankings: readonly EncodedRanking[],
  { note, signal }: StageEnvironment,
): Promise<EncodedAnswer[]> {
  if (demonstrations.length === 0) {
    return rankings.flatMap(({ ranks, answers }) => answers.filter((_, i) => ranks[i] === Math.min(...ranks)));
  }
  const conversations = await readNotingBad({ badRows }, { note, signal }, (bad) =>
    readConversations(demonstrations, bad),
  );
  return conversations.flatMap(({ messages, ...row }) => {
    const last = messages.findLastIndex(isLearnt);
    const answer = messages[last];
    return answer ? [encodeAnswer({ ...row, messages: messages.slice(0, last) }, answer, encoder)] : [];
  });
}

/** Shifts the bias so that the demonstrations score 0 on average, as comparisons leave it open. */
async function centre(model: RewardModel, answers: readonly EncodedAnswer[], batchSize: number): Promise<void> {
  const scores = await readAnswers(answers, 4 * batchSize, (batch) => answerScores(model, batch));
  const mean = scores.reduce((sum, [score = 0]) => sum + score, 0) / Math.max(scores.length, 1);
  model.shift -= mean;
}
