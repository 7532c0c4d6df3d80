import { expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { openReference } from "../backend/reference/index.ts";
import { Random } from "../core/random.ts";
import { Gpt } from "../models/gpt.ts";
import { families } from "../models/index.ts";
import { RewardModel } from "../models/reward-model.ts";
import { freeze, Initializer, parameters } from "../nn/parameters.ts";
import { AdamW } from "../optim/adamw.ts";
import type { PredictionBatch } from "./objectives/next-token.ts";
import type { Ppo, PpoSettings, RolledOut } from "./ppo.ts";
import { learnFrom, rollOut } from "./ppo.ts";
import type { Metrics } from "./run.ts";

const backend = openReference();
const end = 1;
const shape = { vocabularySize: 12, context: 16, width: 16, layers: 1, heads: 2, dropout: 0 };
const newModel = (seed: number): Gpt =>
  new Gpt({ ...families.gpt2.shaped(shape), initializerRange: 0.2 }, new Initializer(backend, new Random(seed)));

const defaults: PpoSettings = {
  sampling: {
    sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 },
    maxNewTokens: 6,
    endTokens: new Set([end]),
    batchSize: 8,
    tokenizer: undefined,
  },
  kl: { coefficient: 0.01, target: null, horizon: 1000 },
  ...{ klEstimator: "k1", missingEndPenalty: 0, rewardClip: 0, whitenRewards: false, whitenAdvantages: true },
  ...{ gamma: 1, lambda: 0.95, ppoEpochs: 1, miniBatches: 1, batchSize: 16, policyClip: 0.2, valueClip: 0.2 },
  ...{ pretrainCoefficient: 0, maxGradientNorm: 1, seed: 5, recompute: false },
};

function newPpo(settings: Partial<PpoSettings> = {}, learningRate = 3e-3, pretraining: Ppo["pretraining"] = null): Ppo {
  const optimizer = (of: Map<string, never> | ReturnType<RewardModel["trainable"]>): AdamW =>
    new AdamW(of, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 });
  const actor = newModel(1);
  const critic = new RewardModel(newModel(2), new Random(3));
  return {
    actor,
    critic,
    reference: freeze(newModel(1)),
    reward: freeze(new RewardModel(newModel(4), new Random(5))),
    actorOptimizer: optimizer(parameters(actor)),
    criticOptimizer: optimizer(critic.trainable()),
    actorSchedule: () => learningRate,
    criticSchedule: () => learningRate,
    prompts: () => Array.from({ length: 16 }, (_, i) => Int32Array.of(2 + (i % 4), 7)),
    pretraining,
    settings: { ...defaults, ...settings },
    klCoefficient: 0.01,
  };
}

async function ppoIteration(ppo: Ppo, step: number): Promise<{ metrics: Metrics } & Pick<RolledOut, "rollouts">> {
  const rolled = await rollOut(ppo, step);
  return { rollouts: rolled.rollouts, metrics: await learnFrom(ppo, step, rolled) };
}

const weights = async (model: object): Promise<number[]> =>
  (await Promise.all([...parameters(model).values()].map((parameter) => parameter.read()))).flatMap((part) => [
    ...part,
  ]);

test("the first update starts from ratio 1 and KL 0, and has every name that TRL logs", async () => {
  const { metrics, rollouts } = await ppoIteration(newPpo(), 0);
  expect(metrics["objective/kl"]).toBeCloseTo(0, 6);
  expect(metrics["val/ratio"]).toBeCloseTo(1, 6);
  expect(metrics["policy/approxkl_avg"]).toBeCloseTo(0, 10);
  expect(metrics["policy/clipfrac_avg"]).toBe(0);
  expect(rollouts).toHaveLength(16);
  const names = ["eps", "kl", "entropy", "non_score_reward", "rlhf_reward", "scores"].map((name, i) =>
    i === 0 ? name : `objective/${name}`,
  );
  const others = [
    "policy/approxkl_avg",
    "policy/clipfrac_avg",
    "loss/policy_avg",
    "loss/value_avg",
    "val/clipfrac_avg",
  ];
  const last = ["policy/entropy_avg", "val/ratio", "val/ratio_var", "val/num_eos_tokens", "lr"];
  for (const name of [...names, ...others, ...last]) expect(metrics[name], name).toBeTypeOf("number");
});

test("an answer stops at its end token, and no prompt or end is lost", async () => {
  const { rollouts } = await ppoIteration(newPpo(), 0);
  for (const { answer, ended, prompt, logProbs, values, advantages, kl } of rollouts) {
    expect(answer.indexOf(end)).toBe(ended ? answer.length - 1 : -1);
    expect(answer.length).toBeLessThanOrEqual(6);
    expect(prompt[1]).toBe(7);
    for (const list of [logProbs, values, advantages, kl]) expect(list).toHaveLength(answer.length);
  }
});

test("answers learned from in pieces teach the same as all at once", async () => {
  const [whole, pieces] = [newPpo(), newPpo({ batchSize: 3 })];
  await ppoIteration(whole, 0);
  await ppoIteration(pieces, 0);
  for (const part of ["actor", "critic"] as const) {
    expectClose(await weights(pieces[part]), await weights(whole[part]), { absolute: 2e-5, relative: 1e-3 });
  }
});

test("frozen models stay as they were, the others do not", async () => {
  const ppo = newPpo();
  const before = await Promise.all([ppo.actor, ppo.reference, ppo.critic, ppo.reward].map(weights));
  await ppoIteration(ppo, 0);
  const after = await Promise.all([ppo.actor, ppo.reference, ppo.critic, ppo.reward].map(weights));
  expect(after.map((own, i) => own.some((value, j) => value !== before[i]?.[j]))).toEqual([true, false, true, false]);
});

test("the reward rises, and the critic learns what to expect", async () => {
  const ppo = newPpo({ ppoEpochs: 2, miniBatches: 2 }, 1e-2);
  const history: Metrics[] = [];
  for (let step = 0; step < 15; step++) history.push((await ppoIteration(ppo, step)).metrics);
  const mean = (name: string, from: number, to: number): number =>
    history.slice(from, to).reduce((sum, metrics) => sum + (metrics[name] ?? Number.NaN), 0) / (to - from);
  expect(mean("objective/scores", 12, 15)).toBeGreaterThan(mean("objective/scores", 0, 3) + 0.3);
  expect(mean("loss/value_avg", 12, 15)).toBeLessThan(mean("loss/value_avg", 0, 1));
});

test("the pretraining term holds on to the text it is given", async () => {
  const text: PredictionBatch = {
    inputs: Int32Array.of(3, 4, 5, 6),
    targets: Int32Array.of(4, 5, 6, 3),
    ...{ batch: 1, time: 4 },
  };
  const lossAfter = async (pretrainCoefficient: number): Promise<number> => {
    const ppo = newPpo({ pretrainCoefficient }, 3e-3, (_, count) => Array.from({ length: count }, () => text));
    let loss = Number.NaN;
    for (let step = 0; step < 8; step++) loss = (await ppoIteration(ppo, step)).metrics["loss/pretrain"] ?? loss;
    return loss;
  };
  // The reward may pull either way; with the term the text wins.
  expect(await lossAfter(1)).toBeLessThan((await lossAfter(1e-6)) - 0.2);
});

test("a reward that is no number stops the iteration before any weight changes", async () => {
  const ppo = newPpo();
  ppo.reward.bias.write(Float32Array.of(Number.NaN));
  const before = await weights(ppo.actor);
  await expect(ppoIteration(ppo, 0)).rejects.toThrow("the reward of answer 1 is NaN");
  expect(await weights(ppo.actor)).toEqual(before);
});
