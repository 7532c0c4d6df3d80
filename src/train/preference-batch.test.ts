import { test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { exact, read } from "../../test/exact.ts";
import { Random } from "../core/random.ts";
import type { EncodedAnswer, EncodedPreference, EncodedRanking } from "../data/encoded-rankings.ts";
import { score } from "../generate/score.ts";
import { families } from "../models/index.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { RewardModel } from "../models/reward-model.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import { dpoObjective, referencePairs } from "./preference-batch.ts";
import { rankingObjective, scoreRankings } from "./ranking-batch.ts";

const shape = { vocabularySize: 12, context: 16, width: 16, layers: 1, heads: 2, dropout: 0 };
const newModel = (seed: number): LanguageModel =>
  families.gpt2.create(
    { ...families.gpt2.shaped(shape), initializerRange: 0.3 },
    new Initializer(exact, new Random(seed)),
  );
const answered = (prompt: number[], answer: number[]): EncodedAnswer => ({
  prompt: Int32Array.from(prompt),
  answer: Int32Array.from(answer),
});
const pair = (chosen: EncodedAnswer, rejected: EncodedAnswer): EncodedPreference => ({
  ...{ where: "", margin: null, distance: 1 },
  chosen,
  rejected,
});
const pairs = [
  pair(answered([1, 2], [3, 4, 5]), answered([1, 2], [6])),
  pair(answered([7], [8, 9]), answered([7], [10, 11, 2, 3])),
];
const options = { kind: "sigmoid", beta: 0.1, labelSmoothing: 0 } as const;
const near = { absolute: 1e-6, relative: 1e-5 };

async function sumOfLogProbs(model: LanguageModel, { prompt, answer }: EncodedAnswer): Promise<number> {
  const { logProbs } = await score(model, [...prompt, ...answer]);
  return logProbs.slice(prompt.length).reduce<number>((sum, value) => sum + (value ?? 0), 0);
}

test("log-probabilities are those of the answer alone, summed, or averaged for IPO", async () => {
  const model = newModel(1);
  const sums = await referencePairs(model, pairs, 1, options);
  const means = await referencePairs(model, pairs, 8, { ...options, kind: "ipo" });
  for (const [i, { chosen, rejected }] of pairs.entries()) {
    const expected = [await sumOfLogProbs(model, chosen), await sumOfLogProbs(model, rejected)];
    expectClose(sums[i]?.referenceLogProbs ?? [], expected, near);
    const lengths = [chosen.answer.length, rejected.answer.length];
    expectClose(
      means[i]?.referenceLogProbs ?? [],
      expected.map((sum, j) => sum / (lengths[j] ?? 1)),
      near,
    );
  }
});

test("a policy that is its reference has loss log 2 and no margin", async () => {
  const { loss, metrics } = dpoObjective(newModel(1), await referencePairs(newModel(1), pairs, 4, options), options);
  expectClose(await read(loss), [Math.log(2)], near);
  expectClose(await read(metrics["rewards/margins"] ?? null), [0], near);
});

test("rewards are β (log π − log π₀), by hand", async () => {
  const policy = newModel(2);
  const referenced = await referencePairs(newModel(1), pairs, 4, options);
  const { metrics } = dpoObjective(policy, referenced, options);
  const of = async (side: "chosen" | "rejected", i: 0 | 1): Promise<number> => {
    const each = referenced.map(async (one) => (await sumOfLogProbs(policy, one[side])) - one.referenceLogProbs[i]);
    return (0.1 * (await Promise.all(each)).reduce((a, b) => a + b, 0)) / referenced.length;
  };
  const [chosen, rejected] = [await of("chosen", 0), await of("rejected", 1)];
  expectClose(await read(metrics["rewards/chosen"] ?? null), [chosen], near);
  expectClose(await read(metrics["rewards/rejected"] ?? null), [rejected], near);
  expectClose(await read(metrics["rewards/margins"] ?? null), [chosen - rejected], near);
});

const ranking = (
  answers: readonly EncodedAnswer[],
  ranks: readonly number[],
  margin: number | null = null,
): EncodedRanking => ({
  ...{ where: "", answers, ranks, margin },
});

test("K answers together cost K passes and give the loss of all their pairs", async () => {
  const answers = [answered([1], [2, 3]), answered([1], [4]), answered([1], [5, 6, 7])];
  const model = new RewardModel(newModel(1), new Random(3));
  const { loss, metrics } = rankingObjective(model, [ranking(answers, [2, 1, 3])], { marginPerRank: 0, centering: 0 });
  const [scores = []] = await scoreRankings(model, [ranking(answers, [2, 1, 3])], 1);
  const [a = 0, b = 0, c = 0] = scores;
  const logSigmoid = (x: number): number => -Math.log(1 + Math.exp(-x));
  expectClose(await read(loss), [-(logSigmoid(b - a) + logSigmoid(b - c) + logSigmoid(a - c)) / 3], near);
  expectClose(await read(metrics.max_reward ?? null), [Math.max(a, b, c)], near);
  expectClose(await read(metrics.min_reward ?? null), [Math.min(a, b, c)], near);
});

test("prompts cut into pieces train as they do together", async () => {
  const rankings = [
    ranking([answered([1], [2, 3]), answered([1], [4])], [1, 2], 0.5),
    ranking([answered([5], [6]), answered([5], [7]), answered([5], [8, 9])], [2, 1, 2]),
  ];
  const gradients = async (parts: readonly (readonly EncodedRanking[])[]): Promise<number[]> => {
    const model = new RewardModel(newModel(1), new Random(3));
    for (const part of parts) {
      const { loss } = rankingObjective(model, part, { marginPerRank: 0.1, centering: 0.01 });
      loss.mul(part.length / 2).backward();
    }
    const trained = [...parameters(model).values()].filter(({ requiresGrad }) => requiresGrad);
    return (await Promise.all(trained.map(({ grad }) => read(grad)))).flat();
  };
  expectClose(await gradients(rankings.map((one) => [one])), await gradients([rankings]), near);
});
