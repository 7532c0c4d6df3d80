import { NumericalError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { EncodedPrompt } from "../data/encoded-rankings.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { answerBatch, answerLogProbs, readAnswers } from "./answers.ts";
import { grpoMetrics, meansOf } from "./grpo-metrics.ts";
import type { AdvantageScale, GrpoOptions } from "./objectives/grpo.ts";
import { groupAdvantages, grpoLoss } from "./objectives/grpo.ts";
import { optimizerStep } from "./optimizer-step.ts";
import type { RewardedAnswer, RewardFunction } from "./reward-functions/reward-function.ts";
import { byTokens, divide, joined, microBatches, seconds } from "./rollouts.ts";
import type { MeasuredLoss, Metrics } from "./run.ts";
import type { AnswerSampling, SampledAnswer } from "./sample-answers.ts";
import { sampleAnswers } from "./sample-answers.ts";

/** Everything that learning by GRPO needs, already built. Only the trained weights change. */
export interface Grpo {
  /** Answers, and learns to. */
  readonly policy: LanguageModel;
  /** What the policy was at the start, frozen; null where nothing holds it there. */
  readonly reference: LanguageModel | null;
  readonly optimizer: Optimizer;
  /** Learning rate of an iteration. */
  readonly schedule: (step: number) => number;
  /** The prompts of an iteration, each once: a function of its number alone. */
  readonly prompts: (step: number) => readonly EncodedPrompt[];
  readonly rewards: readonly RewardFunction[];
  readonly tokenizer: Pick<Tokenizer, "decode">;
  readonly settings: GrpoSettings;
}

/** Constants of {@link Grpo}. */
export interface GrpoSettings extends GrpoOptions {
  readonly sampling: Omit<AnswerSampling, "seed">;
  /** Answers to each prompt. */
  readonly generations: number;
  readonly scaleRewards: AdvantageScale;
  /** Whether answers that do not end are left out of the loss. */
  readonly maskTruncated: boolean;
  /** Passes over the answers of an iteration. */
  readonly passes: number;
  /** Updates in a pass. */
  readonly miniBatches: number;
  /** Answers that go through a model at once. */
  readonly batchSize: number;
  readonly recompute: boolean;
  readonly maxGradientNorm: number;
  readonly seed: number;
}

/** An answer ready to learn from. */
export interface GroupRollout extends SampledAnswer, RewardedAnswer {
  /** What each reward function gave. */
  readonly rewards: readonly number[];
  /** Their weighted sum. */
  readonly reward: number;
  readonly advantage: number;
  /** Of the policy that sampled, a number a token; null where the only update starts from it. */
  readonly logProbs: Float32Array | null;
  readonly referenceLogProbs: Float32Array | null;
}

/** Answers of one iteration, and how long it took to get them, in seconds. */
export interface GroupsRolledOut {
  readonly rollouts: readonly GroupRollout[];
  readonly metrics: Metrics;
  readonly sampling: number;
  readonly judging: number;
}

/**
 * First half of an iteration of GRPO: the policy gives several answers to each prompt, reward functions judge them, and
 * each is compared with the others to its prompt. Changes nothing; all randomness follows from the seed and the
 * iteration's number.
 *
 * @throws {unknown} the reason of `signal` when that is aborted, and whatever a reward function throws.
 */
export async function rollOutGroups(grpo: Grpo, step: number, signal?: AbortSignal): Promise<GroupsRolledOut> {
  const { policy, reference, settings } = grpo;
  const { generations, passes, miniBatches, batchSize } = settings;
  const { temperature } = settings.sampling.sampling;
  const start = performance.now();
  const asked = grpo.prompts(step).flatMap((prompt) => Array.from({ length: generations }, () => prompt));
  const seed = randomOf(grpo, step).child(0).reader().word();
  const ids = asked.map((prompt) => prompt.ids);
  const sampled = await sampleAnswers(policy, ids, { ...settings.sampling, seed, signal });
  const judgingStart = performance.now();

  const answers = sampled.map((answer, i) => ({ ...answer, ...readable(grpo, asked[i] as EncodedPrompt, answer) }));
  const given: number[][] = [];
  for (const reward of grpo.rewards) {
    signal?.throwIfAborted();
    given.push(checked(await reward.rewards(answers, signal), reward, answers));
  }
  const totals = answers.map((_, i) =>
    grpo.rewards.reduce((sum, { weight }, f) => sum + weight * (given[f]?.[i] ?? 0), 0),
  );
  const { advantages, groupDeviations } = groupAdvantages(totals, generations, settings.scaleRewards);
  const read = (model: LanguageModel): Promise<Float32Array[]> =>
    readAnswers(answers, batchSize, (batch) => answerLogProbs(model, batch, { temperature }), signal);
  const logProbs = passes * miniBatches > 1 ? await read(policy) : null;
  const referenceLogProbs = reference && (await read(reference));
  const rollouts = answers.map(
    (answer, i): GroupRollout => ({
      ...answer,
      rewards: given.map((rewards) => rewards[i] ?? 0),
      reward: totals[i] ?? 0,
      advantage: advantages[i] ?? 0,
      logProbs: logProbs?.[i] ?? null,
      referenceLogProbs: referenceLogProbs?.[i] ?? null,
    }),
  );
  const metrics = grpoMetrics(rollouts, grpo.rewards, groupDeviations);
  return { rollouts, metrics, sampling: seconds(start, judgingStart), judging: seconds(judgingStart) };
}

/** @throws {NumericalError} naming function and row, when a reward is no finite number. */
function checked(rewards: readonly number[], { name }: RewardFunction, answers: readonly RewardedAnswer[]): number[] {
  return answers.map(({ where }, i) => {
    const reward = rewards[i];
    if (Number.isFinite(reward)) return reward as number;
    throw new NumericalError(
      `grpo: the reward ${name} is ${reward} for an answer to ${where}; the weights were left as before this ` +
        "iteration; a reward has to be a finite number",
    );
  });
}

function readable(
  { tokenizer }: Grpo,
  { messages, row = {}, where }: EncodedPrompt,
  { answer, ended }: SampledAnswer,
): Omit<RewardedAnswer, "prompt" | "answer"> {
  const completion = tokenizer.decode(ended ? answer.subarray(0, -1) : answer);
  return { question: messages.at(-1)?.content ?? "", completion, row, where };
}

/**
 * Second half: the policy learns from the answers.
 *
 * @returns every metric of the iteration.
 * @see Shao et al. (2024), algorithm 1, arXiv:2402.03300.
 * @throws {NumericalError} when a loss or a gradient is not finite.
 * @throws {unknown} the reason of `signal` when that is aborted; earlier updates have changed weights and optimizer then.
 */
export async function learnFromGroups(
  grpo: Grpo,
  step: number,
  rolled: GroupsRolledOut,
  signal?: AbortSignal,
): Promise<Metrics> {
  const { settings } = grpo;
  const { rollouts, sampling, judging } = rolled;
  const start = performance.now();
  const updates: Metrics[] = [];
  for (let pass = 0; pass < settings.passes; pass++) {
    const order = randomOf(grpo, step)
      .child(1 + pass)
      .permutation(rollouts.length);
    for (const chosen of divide(order, settings.miniBatches)) {
      const some = Array.from(chosen, (i) => rollouts[i] as GroupRollout);
      updates.push(await learn(grpo, step, some, signal));
    }
  }
  const times = { "time/sampling": sampling, "time/judging": judging, "time/learning": seconds(start) };
  const tokens = byTokens(rollouts) + rollouts.reduce((sum, { prompt }) => sum + prompt.length, 0);
  return { ...meansOf(updates), ...rolled.metrics, tokens, ...times };
}

async function learn(
  grpo: Grpo,
  step: number,
  rollouts: readonly GroupRollout[],
  signal?: AbortSignal,
): Promise<Metrics> {
  const { policy, optimizer, schedule, settings } = grpo;
  const isTokenMean = settings.lossType === "dapo";
  const weightOf = (some: readonly GroupRollout[]): number =>
    isTokenMean ? Math.max(1e-9, byTokens(some.filter((one) => isLearnt(one, settings)))) : some.length;
  const micro = microBatches(rollouts, settings.batchSize, weightOf);
  const { maxGradientNorm, seed } = settings;
  return optimizerStep(
    {
      ...{ model: policy, optimizer, schedule, maxGradientNorm, seed },
      batches: () => micro,
      objective: (model, batch) => groupObjective(model, batch, settings),
    },
    step,
    signal,
  );
}

function groupObjective(
  policy: LanguageModel,
  rollouts: readonly GroupRollout[],
  settings: GrpoSettings,
): MeasuredLoss {
  const batch = answerBatch(rollouts);
  const { temperature } = settings.sampling.sampling;
  const entropy = Tensor.empty(policy.backend, [batch.tokens.length]);
  const measures = { entropy, meanLogits: null };
  const logProbs = answerLogProbs(policy, batch, { temperature, measures, recompute: settings.recompute });
  const numbers = (key: "logProbs" | "referenceLogProbs") =>
    rollouts.every((rollout) => rollout[key] !== null)
      ? joined(policy, rollouts, (rollout) => rollout[key] ?? new Float32Array())
      : null;
  const { loss, clippedLow, clippedHigh, kl } = grpoLoss(
    {
      logProbs,
      oldLogProbs: numbers("logProbs"),
      referenceLogProbs: numbers("referenceLogProbs"),
      advantages: rollouts.map(({ advantage }) => advantage),
      lengths: rollouts.map(({ answer }) => answer.length),
      isLearnt: rollouts.map((rollout) => isLearnt(rollout, settings)),
    },
    settings,
  );
  const clips = {
    "clip_ratio/low_mean": clippedLow,
    "clip_ratio/high_mean": clippedHigh,
    "clip_ratio/region_mean": clippedLow.add(clippedHigh),
  };
  return { loss, metrics: { ...(kl ? { kl } : {}), entropy: entropy.mean(), ...clips } };
}

function isLearnt({ ended }: GroupRollout, { maskTruncated }: GrpoSettings): boolean {
  return ended || !maskTruncated;
}

function randomOf({ settings }: Grpo, step: number): Random {
  return new Random(settings.seed).child(step);
}
