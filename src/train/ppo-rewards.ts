import type { Backend } from "../backend/kernels.ts";
import { NumericalError } from "../core/errors.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { AdvantageSettings } from "./objectives/advantages.ts";
import { generalizedAdvantages, whiten } from "./objectives/advantages.ts";
import type { KlEstimator } from "./objectives/kl.ts";
import { klEstimate } from "./objectives/kl.ts";
import type { SampledAnswer } from "./sample-answers.ts";

/** An answer and what four models said of it. Lists have a number for each token of the answer. */
export interface JudgedAnswer extends SampledAnswer {
  /** Of the policy that sampled it. */
  readonly logProbs: Float32Array;
  readonly referenceLogProbs: Float32Array;
  /** The critic's. */
  readonly values: Float32Array;
  /** The reward model's, of the answer as a whole. */
  readonly score: number;
}

/** How scores and divergence become rewards, and rewards advantages. */
export interface RewardShaping extends AdvantageSettings {
  readonly klEstimator: KlEstimator;
  /** Taken from the score of an answer that does not end. */
  readonly missingEndPenalty: number;
  /** Scores are cut to ± this; 0 is off. */
  readonly rewardClip: number;
  readonly whitenRewards: boolean;
  readonly whitenAdvantages: boolean;
}

/** An answer ready to learn from. */
export interface Rollout extends JudgedAnswer {
  /** Estimated divergence from the reference, a token. */
  readonly kl: Float32Array;
  readonly advantages: Float32Array;
  readonly returns: Float32Array;
  /** The score as rewarded: with the penalty, and cut. */
  readonly shapedScore: number;
}

/**
 * Rewards and advantages of all answers of an iteration. The reward of token t is −β · KLₜ, and that of the last token
 * has the answer's score added.
 *
 * @see Ouyang et al. (2022), equation 2, arXiv:2203.02155, the part that is not about pretraining.
 * @throws {NumericalError} when a score is not finite.
 */
export async function creditAnswers(
  backend: Backend,
  answers: readonly JudgedAnswer[],
  klCoefficient: number,
  shaping: RewardShaping,
): Promise<Rollout[]> {
  const kl = await perTokenKl(backend, answers, shaping.klEstimator);
  const scores = answers.map((answer, i) => shapedScore(answer, i, shaping));
  let rewards: Float32Array[] = kl.map((own, i) => {
    const reward = own.map((value) => -klCoefficient * value);
    reward[reward.length - 1] = (reward.at(-1) ?? 0) + (scores[i] ?? 0);
    return reward;
  });
  if (shaping.whitenRewards) rewards = whiten(rewards, true);
  const credited = answers.map(({ values }, i) => generalizedAdvantages(rewards[i] ?? [], values, shaping));
  const raw = credited.map(({ advantages }) => advantages);
  const advantages = shaping.whitenAdvantages ? whiten(raw) : raw;
  return answers.map((answer, i) => ({
    ...answer,
    kl: kl[i] ?? new Float32Array(),
    advantages: advantages[i] ?? new Float32Array(),
    returns: credited[i]?.returns ?? new Float32Array(),
    shapedScore: scores[i] ?? 0,
  }));
}

function shapedScore({ score, ended }: JudgedAnswer, index: number, shaping: RewardShaping): number {
  if (!Number.isFinite(score)) {
    throw new NumericalError(
      `ppo: the reward of answer ${index + 1} is ${score}; the weights were left as before this iteration; check the ` +
        "reward model with stemma reward --check",
    );
  }
  const { rewardClip, missingEndPenalty } = shaping;
  const penalised = ended ? score : score - missingEndPenalty;
  return rewardClip > 0 ? Math.max(-rewardClip, Math.min(rewardClip, penalised)) : penalised;
}

async function perTokenKl(
  backend: Backend,
  answers: readonly JudgedAnswer[],
  estimator: KlEstimator,
): Promise<Float32Array[]> {
  const flat = (lists: readonly Float32Array[]): Tensor => {
    const values = Float32Array.from(lists.flatMap((list) => [...list]));
    return Tensor.from(backend, values, [values.length]);
  };
  const result = tensorScope(() =>
    klEstimate(
      flat(answers.map(({ logProbs }) => logProbs)),
      flat(answers.map(({ referenceLogProbs }) => referenceLogProbs)),
      estimator,
    ),
  );
  const values = await result.floats();
  result.release();
  let start = 0;
  return answers.map(({ answer }) => {
    start += answer.length;
    return values.slice(start - answer.length, start);
  });
}
