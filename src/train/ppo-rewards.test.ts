import { expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { openReference } from "../backend/reference/index.ts";
import { nextKlCoefficient } from "./kl-controller.ts";
import type { JudgedAnswer, RewardShaping } from "./ppo-rewards.ts";
import { creditAnswers } from "./ppo-rewards.ts";
import { TroubleWatch } from "./ppo-trouble.ts";

const backend = openReference();
const plain: RewardShaping = {
  ...{ klEstimator: "k1", missingEndPenalty: 1, rewardClip: 0, whitenRewards: false, whitenAdvantages: false },
  ...{ gamma: 1, lambda: 1 },
};

function answer(
  score: number,
  ended: boolean,
  logProbs: readonly number[],
  reference: readonly number[],
): JudgedAnswer {
  return {
    ...{ score, ended, prompt: Int32Array.of(1), answer: new Int32Array(logProbs.length) },
    logProbs: Float32Array.from(logProbs),
    referenceLogProbs: Float32Array.from(reference),
    values: new Float32Array(logProbs.length),
  };
}

test("KL is paid at each token, the score at the last", async () => {
  const [only] = await creditAnswers(backend, [answer(2, true, [-1, -2], [-1.5, -1])], 0.1, plain);
  expectClose(only?.kl ?? [], [0.5, -1]);
  expectClose(only?.returns ?? [], [-0.05 + 0.1 + 2, 0.1 + 2], { absolute: 1e-6, relative: 0 });
});

test("an answer that does not end is penalised, and scores are cut", async () => {
  const answers = [answer(2, false, [-1], [-1]), answer(9, true, [-1], [-1])];
  const scores = async (shaping: Partial<RewardShaping>): Promise<number[]> =>
    (await creditAnswers(backend, answers, 0.1, { ...plain, ...shaping })).map(({ shapedScore }) => shapedScore);
  expect(await scores({})).toEqual([1, 9]);
  expect(await scores({ rewardClip: 3, missingEndPenalty: 4 })).toEqual([-2, 3]);
});

test("the KL coefficient goes up above the target, down below it, by a fifth at most", () => {
  const control = { coefficient: 0.1, target: 6, horizon: 100 };
  expect(nextKlCoefficient(0.1, 60, 100, control)).toBeCloseTo(0.12);
  expect(nextKlCoefficient(0.1, 0, 50, control)).toBeCloseTo(0.09);
  expect(nextKlCoefficient(0.1, 6.6, 100, control)).toBeCloseTo(0.11);
  expect(nextKlCoefficient(0.1, 60, 100, { ...control, target: null })).toBe(0.1);
});

test("each trouble is named once, with a cause, and again when it comes back", () => {
  const watch = new TroubleWatch();
  const limits = { klBudget: 10, answers: 8 };
  const good = { "objective/kl": 1, "val/ratio": 1, "policy/entropy_avg": 2, "val/num_eos_tokens": 8 };
  expect(watch.look(good, limits)).toEqual([]);
  const bad = { "objective/kl": -3, "val/ratio": 2, "policy/entropy_avg": 0.1, "val/num_eos_tokens": 1 };
  const said = watch.look(bad, limits).map((line) => line.split(":")[0]);
  expect(said).toEqual(["negative KL", "ratio far from 1", "collapsed entropy", "answers that never end"]);
  expect(watch.look(bad, limits)).toEqual([]);
  expect(watch.look({ ...good, "objective/kl": 11 }, limits)).toEqual([expect.stringMatching(/^KL over budget: 11.0/)]);
  expect(watch.look(bad, limits)).toHaveLength(4);
});
