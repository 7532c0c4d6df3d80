import { expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { exact, read } from "../../test/exact.ts";
import { Random } from "../core/random.ts";
import type { EncodedJudgement } from "../data/encoded-rankings.ts";
import { score } from "../generate/score.ts";
import { families } from "../models/index.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { Initializer } from "../nn/parameters.ts";
import { judgementBatches, ktoObjective, referenceJudgements } from "./judgement-batch.ts";

const shape = { vocabularySize: 12, context: 16, width: 16, layers: 1, heads: 2, dropout: 0 };
const newModel = (seed: number): LanguageModel =>
  families.gpt2.create(
    { ...families.gpt2.shaped(shape), initializerRange: 0.3 },
    new Initializer(exact, new Random(seed)),
  );
const judged = (prompt: number[], answer: number[], isDesirable: boolean): EncodedJudgement => ({
  where: "",
  isDesirable,
  answered: { prompt: Int32Array.from(prompt), answer: Int32Array.from(answer) },
});
const judgements = [
  judged([1, 2], [3, 4, 5], true),
  judged([1, 2], [6], false),
  judged([7], [8, 9], true),
  judged([10], [11, 2, 3], true),
];
const options = { beta: 0.2, desirableWeight: 1.5, undesirableWeight: 0.5 };
const near = { absolute: 1e-6, relative: 1e-5 };

async function sumOfLogProbs(
  model: LanguageModel,
  prompt: ArrayLike<number>,
  answer: ArrayLike<number>,
): Promise<number> {
  const { logProbs } = await score(model, [...Array.from(prompt), ...Array.from(answer)]);
  return logProbs.slice(prompt.length).reduce<number>((sum, value) => sum + (value ?? 0), 0);
}

test("every answer gets one to another prompt, cut to the context, and both their reference", async () => {
  const reference = newModel(1);
  const made = await referenceJudgements(reference, judgements, 3, 4);
  expect(made.map(({ mismatched }) => [[...mismatched.prompt], [...mismatched.answer]])).toEqual([
    [
      [1, 2],
      [8, 9],
    ],
    [
      [1, 2],
      [8, 9],
    ],
    [[7], [11, 2, 3]],
    [[10], [3, 4, 5]],
  ]);
  for (const { answered, mismatched, referenceLogProbs } of made) {
    const own = await sumOfLogProbs(reference, answered.prompt, answered.answer);
    const other = await sumOfLogProbs(reference, mismatched.prompt, mismatched.answer);
    expectClose(referenceLogProbs, [own, other], near);
  }
});

test("loss, divergence and metrics of a step in two unequal batches, by hand", async () => {
  const [policy, reference] = [newModel(2), newModel(1)];
  const made = await referenceJudgements(reference, judgements, 4, 16);
  const chunks = [made.slice(0, 3), made.slice(3)];
  const sums: Record<string, number> = {};
  for (const { batch, share } of judgementBatches(chunks)) {
    const { loss, metrics } = ktoObjective(policy, batch, options);
    for (const [name, value] of Object.entries({ loss, ...metrics })) {
      sums[name] = (sums[name] ?? 0) + share * ((await read(value))[0] ?? Number.NaN);
    }
  }
  const ratios = await Promise.all(
    made.map(async ({ answered, mismatched, referenceLogProbs: [own, other] }) => [
      (await sumOfLogProbs(policy, answered.prompt, answered.answer)) - own,
      (await sumOfLogProbs(policy, mismatched.prompt, mismatched.answer)) - other,
    ]),
  );
  const klOf = (from: number, to: number): number =>
    Math.max(0, ratios.slice(from, to).reduce((sum, [, other]) => sum + (other ?? 0), 0) / (to - from));
  const kl = [klOf(0, 3), klOf(0, 3), klOf(0, 3), klOf(3, 4)];
  const losses = ratios.map(([ratio = 0], i) => {
    const sign = judgements[i]?.isDesirable ? 1 : -1;
    const worse = 1 - 1 / (1 + Math.exp(-sign * options.beta * (ratio - (kl[i] ?? 0))));
    return worse * (sign > 0 ? options.desirableWeight : options.undesirableWeight);
  });
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  const rewards = ratios.map(([ratio = 0]) => options.beta * ratio);
  const wanted = [0, 2, 3].map((i) => rewards[i] ?? 0);
  expectClose([sums.loss ?? 0], [mean(losses)], near);
  expectClose([sums.kl ?? 0], [mean(kl)], near);
  expectClose([sums["rewards/chosen"] ?? 0], [mean(wanted)], near);
  expectClose([sums["rewards/rejected"] ?? 0], [rewards[1] ?? 0], near);
  expectClose([sums["rewards/margins"] ?? 0], [mean(wanted) - (rewards[1] ?? 0)], near);
});
