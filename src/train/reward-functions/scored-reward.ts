import type { RewardModel } from "../../models/reward-model.ts";
import { answerScores, readAnswers } from "../answers.ts";
import type { RewardFunction } from "./reward-function.ts";

/**
 * What a reward model says of an answer as a whole.
 *
 * @param batchSize - Answers that go through the model at once.
 */
export function scoredReward(
  { name, weight }: Pick<RewardFunction, "name" | "weight">,
  model: RewardModel,
  batchSize: number,
): RewardFunction {
  return {
    ...{ name, weight, column: null },
    async rewards(answers, signal) {
      const scores = await readAnswers(answers, batchSize, (batch) => answerScores(model, batch), signal);
      return scores.map(([score = Number.NaN]) => score);
    },
  };
}
