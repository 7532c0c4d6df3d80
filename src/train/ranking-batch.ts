import type { EncodedRanking } from "../data/encoded-rankings.ts";
import type { RewardModel } from "../models/reward-model.ts";
import type { Answered } from "./answers.ts";
import { answerBatch, answerScores, readAnswers } from "./answers.ts";
import type { RankedPairs } from "./objectives/reward.ts";
import { rankedPairs, rankingLoss } from "./objectives/reward.ts";
import type { MeasuredLoss } from "./run.ts";

/** Constants of {@link rankingObjective}. */
export interface RankingOptions {
  /** Margin that the loss asks for, for each rank between two answers; data that has margins of its own keeps those. */
  readonly marginPerRank: number;
  /** Coefficient of the term that keeps rewards around 0. */
  readonly centering: number;
  /** Computes each block twice instead of keeping its activations. */
  readonly recompute?: boolean;
}

/**
 * The loss of a reward model on the rankings of a few prompts. All answers to all prompts go through the model
 * together, each once, whatever the number of pairs it is in.
 *
 * Metrics are those that TRL logs for reward models.
 */
export function rankingObjective(
  model: RewardModel,
  rankings: readonly EncodedRanking[],
  options: RankingOptions,
): MeasuredLoss {
  const rewards = answerScores(model, answerBatch(answersOf(rankings)), options.recompute); // [answers]
  const { loss, accuracy, margin } = rankingLoss(rewards, pairsIn(rankings, options), options.centering);
  const plain = rewards.detach();
  const metrics = {
    accuracy,
    margin,
    mean_reward: plain.mean(),
    min_reward: plain.neg().max(0).neg(),
    max_reward: plain.max(0),
  };
  return { loss, metrics };
}

/** All pairs of some rankings, with the margins that their rows give or that follow from the ranks. */
export function pairsIn(rankings: readonly EncodedRanking[], { marginPerRank }: RankingOptions): RankedPairs {
  const pairs = rankedPairs(
    rankings.map(({ ranks }) => ranks),
    marginPerRank,
  );
  const ofAnswer = rankings.flatMap(({ answers, margin }) => answers.map(() => margin));
  const margins = pairs.margins.map((margin, i) => ofAnswer[pairs.better[i] ?? 0] ?? margin);
  return { ...pairs, margins };
}

/** Every reward of every ranking, read a few prompts at a time. */
export async function scoreRankings(
  model: RewardModel,
  rankings: readonly EncodedRanking[],
  batchSize: number,
): Promise<number[][]> {
  const scores = await readAnswers(answersOf(rankings), batchSize, (batch) => answerScores(model, batch));
  let next = 0;
  return rankings.map(({ answers }) => answers.map(() => scores[next++]?.[0] ?? Number.NaN));
}

function answersOf(rankings: readonly EncodedRanking[]): Answered[] {
  return rankings.flatMap(({ answers }) => answers);
}
