import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { Random } from "../core/random.ts";
import { Gpt } from "../models/gpt.ts";
import { families } from "../models/index.ts";
import { freeze, Initializer, parameters } from "../nn/parameters.ts";
import { AdamW } from "../optim/adamw.ts";
import type { Grpo, GrpoSettings } from "./grpo.ts";
import { learnFromGroups, rollOutGroups } from "./grpo.ts";
import type { RewardedAnswer, RewardFunction } from "./reward-functions/reward-function.ts";
import type { Metrics } from "./run.ts";

const backend = openReference();
const end = 1;
const shape = { vocabularySize: 12, context: 16, width: 16, layers: 1, heads: 2, dropout: 0 };
const newModel = (seed: number): Gpt =>
  new Gpt({ ...families.gpt2.shaped(shape), initializerRange: 0.2 }, new Initializer(backend, new Random(seed)));

const defaults: GrpoSettings = {
  sampling: {
    sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 },
    ...{ maxNewTokens: 4, endTokens: new Set([end]), batchSize: 32, tokenizer: undefined },
  },
  ...{ generations: 8, scaleRewards: "group", maskTruncated: false, passes: 1, miniBatches: 1, batchSize: 16 },
  ...{
    lossType: "dapo",
    epsilon: 0.2,
    epsilonHigh: 0.28,
    beta: 0,
    maxNewTokens: 4,
    maxGradientNorm: 1,
    seed: 5,
    recompute: false,
  },
};

/** The share of an answer's tokens that are the token 3. */
const threes: RewardFunction = {
  ...{ name: "threes", weight: 1, column: null },
  rewards: async (answers) => answers.map(({ answer }) => answer.filter((id) => id === 3).length / answer.length),
};

function newGrpo(settings: Partial<GrpoSettings> = {}, rewards: readonly RewardFunction[] = [threes]): Grpo {
  const policy = newModel(1);
  return {
    policy,
    reference: settings.beta ? freeze(newModel(1)) : null,
    optimizer: new AdamW(parameters(policy), { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 }),
    schedule: () => 1e-2,
    prompts: () =>
      Array.from({ length: 4 }, (_, i) => ({
        ...{ where: `row ${i + 1}`, row: { i }, ids: Int32Array.of(2 + i, 7) },
        messages: [{ role: "user", content: `question ${i}` }],
      })),
    rewards,
    tokenizer: { decode: (ids) => [...ids].join(" ") },
    settings: { ...defaults, ...settings },
  };
}

async function iterations(grpo: Grpo, count: number): Promise<Metrics[]> {
  const all: Metrics[] = [];
  for (let step = 0; step < count; step++) {
    all.push(await learnFromGroups(grpo, step, await rollOutGroups(grpo, step)));
  }
  return all;
}

const weights = async (model: object): Promise<number[]> =>
  (await Promise.all([...parameters(model).values()].map((parameter) => parameter.read()))).flatMap((part) => [
    ...part,
  ]);

test("the reward of a toy task rises", async () => {
  const metrics = await iterations(newGrpo(), 12);
  expect(metrics[0]?.reward).toBeLessThan(0.2);
  expect(metrics.at(-1)?.reward).toBeGreaterThan(0.6);
});

test("an iteration has every name that TRL logs", async () => {
  const [metrics = {}] = await iterations(newGrpo({ beta: 0.1, passes: 2, miniBatches: 2 }), 1);
  const names = [
    ...["loss", "reward", "reward_std", "frac_reward_zero_std", "kl", "entropy", "grad_norm", "learning_rate"],
    ...["clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean", "completions/clipped_ratio"],
    ...["completions/mean_length", "completions/min_length", "completions/max_length"],
    ...["completions/mean_terminated_length", "rewards/threes/mean", "rewards/threes/std"],
  ];
  expect(Object.keys(metrics)).toEqual(expect.arrayContaining(names));
  expect(metrics["rewards/threes/mean"]).toBe(metrics.reward);
  expect(metrics.kl).toBeGreaterThan(0); // from the second update on
});

test("the first update of an iteration starts from ratio 1: nothing is clipped and no old policy is read", async () => {
  const grpo = newGrpo({ beta: 0.1 });
  const rolled = await rollOutGroups(grpo, 0);
  expect(rolled.rollouts.every(({ logProbs }) => logProbs === null)).toBe(true);
  const metrics = await learnFromGroups(grpo, 0, rolled);
  expect(metrics["clip_ratio/region_mean"]).toBe(0);
  expect(metrics.kl).toBeCloseTo(0, 6);
});

test("pieces that go through the model do not change what is learned, with any mean over tokens or answers", async () => {
  for (const lossType of ["dapo", "grpo", "dr_grpo"] as const) {
    const [whole, cut] = [newGrpo({ lossType, batchSize: 32 }), newGrpo({ lossType, batchSize: 5 })];
    await iterations(whole, 1);
    await iterations(cut, 1);
    const expected = await weights(whole.policy);
    for (const [i, weight] of (await weights(cut.policy)).entries()) expect(weight).toBeCloseTo(expected[i] ?? 0, 3);
  }
});

test("functions see question, answer without its end, and row, and are added up by their weights", async () => {
  const seen: RewardedAnswer[] = [];
  const watch: RewardFunction = {
    ...{ name: "watch", weight: -2, column: null },
    rewards: async (answers) => {
      seen.push(...answers);
      return answers.map((_, i) => i % 2);
    },
  };
  const { rollouts } = await rollOutGroups(newGrpo({}, [threes, watch]), 0);
  expect(seen[8]).toMatchObject({ question: "question 1", row: { i: 1 }, where: "row 2" });
  for (const [i, { answer, ended, completion, reward, rewards }] of rollouts.entries()) {
    expect(completion).toBe([...(ended ? answer.subarray(0, -1) : answer)].join(" "));
    expect(reward).toBeCloseTo((rewards[0] ?? 0) - 2 * (i % 2), 12);
  }
  expect(rollouts.some(({ ended }) => ended)).toBe(true);
});

test("answers that were cut teach nothing where asked", async () => {
  const grpo = newGrpo({ maskTruncated: true, sampling: { ...defaults.sampling, endTokens: new Set() } });
  const before = await weights(grpo.policy);
  const [metrics = {}] = await iterations(grpo, 1);
  expect([metrics["completions/clipped_ratio"], metrics.grad_norm]).toEqual([1, 0]);
  expect(await weights(grpo.policy)).toEqual(before);
});

test("a reward that is no number ends the run with the row and the function", async () => {
  const broken: RewardFunction = {
    ...threes,
    name: "broken",
    rewards: async (answers) => answers.map(() => Number.NaN),
  };
  await expect(rollOutGroups(newGrpo({}, [broken]), 0)).rejects.toThrow(
    "grpo: the reward broken is NaN for an answer to row 1",
  );
});
