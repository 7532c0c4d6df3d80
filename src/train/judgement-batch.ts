import type { EncodedAnswer, EncodedJudgement } from "../data/encoded-rankings.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { asInTraining } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { AnswerBatch, AnswerReading } from "./answers.ts";
import {
  answerBatch,
  answerLogProbs,
  meanOverAnswers,
  readAnswers,
  sumOverAnswers,
  watchedLogProbs,
} from "./answers.ts";
import type { KtoOptions } from "./objectives/kto.ts";
import { ktoLoss } from "./objectives/kto.ts";
import type { MeasuredLoss, MicroBatch } from "./run.ts";

/** A judged answer, an answer to another prompt put in its place, and how likely the reference finds both. */
export interface ReferencedJudgement extends EncodedJudgement {
  readonly mismatched: EncodedAnswer;
  /** log π₀: the sum over the tokens of the answer, and of the mismatched one. */
  readonly referenceLogProbs: readonly [own: number, mismatched: number];
}

/** Judged answers that go through the policy at once. */
export interface JudgementBatch {
  readonly judgements: readonly ReferencedJudgement[];
  /** Weight of each wanted, and each unwanted, answer of the batch in means over those of the whole step. */
  readonly weights: { readonly chosen: number; readonly rejected: number };
}

/**
 * Gives every judged answer a mismatched one, that of the next row with another prompt (where there is one), cut to `context` tokens with
 * its new prompt; and computes what the reference says of both, once.
 */
export async function referenceJudgements(
  reference: LanguageModel,
  judgements: readonly EncodedJudgement[],
  batchSize: number,
  context: number,
  signal?: AbortSignal,
): Promise<ReferencedJudgement[]> {
  const prompts = judgements.map(({ answered }) => String(answered.prompt));
  const next = nextWithAnother(prompts);
  const mismatched = judgements.map(({ answered: { prompt } }, i): EncodedAnswer => {
    const { answer } = (judgements[next[i] ?? i] as EncodedJudgement).answered;
    return { prompt, answer: answer.slice(0, Math.max(1, context - prompt.length)) };
  });
  const compute = (batch: AnswerBatch): Tensor => sumOverAnswers(answerLogProbs(reference, batch), batch);
  const own = judgements.map(({ answered }) => answered);
  const ofOwn = await readAnswers(own, batchSize, compute, signal);
  const ofOthers = await readAnswers(mismatched, batchSize, compute, signal);
  return judgements.map((judgement, i) => ({
    ...judgement,
    mismatched: mismatched[i] as EncodedAnswer,
    referenceLogProbs: [ofOwn[i]?.[0] ?? Number.NaN, ofOthers[i]?.[0] ?? Number.NaN],
  }));
}

/** For each key the place of the next that differs, going around; of one of them where all are the same. */
function nextWithAnother(keys: readonly string[]): number[] {
  const count = keys.length;
  const next = keys.map((_, i) => (i + 1) % count);
  for (let i = 2 * count - 1; i >= 0; i--) {
    const [own, following] = [i % count, (i + 1) % count];
    next[own] = keys[own] === keys[following] ? (next[following] as number) : following;
  }
  return next;
}

/** The batches of a step, each weighing by its answers. */
export function judgementBatches(chunks: readonly (readonly ReferencedJudgement[])[]): MicroBatch<JudgementBatch>[] {
  const all = chunks.flat();
  const wanted = all.filter(({ isDesirable }) => isDesirable).length;
  return chunks.map((judgements) => {
    const share = judgements.length / all.length;
    const each = (count: number): number => (count === 0 ? 0 : 1 / count / share);
    const weights = { chosen: each(wanted), rejected: each(all.length - wanted) };
    return { batch: { judgements, weights }, share, tokens: tokensOf(judgements) };
  });
}

function tokensOf(judgements: readonly ReferencedJudgement[]): number {
  return judgements.reduce((sum, { answered }) => sum + answered.prompt.length + answered.answer.length, 0);
}

/** The loss of Kahneman-Tversky optimisation on some judged answers. Metrics are those that TRL logs for KTO. */
export function ktoObjective(
  policy: LanguageModel,
  { judgements, weights }: JudgementBatch,
  options: KtoOptions,
  reading: AnswerReading = {},
): MeasuredLoss {
  const { backend } = policy;
  const numbers = (of: (judgement: ReferencedJudgement) => number): Tensor =>
    Tensor.from(backend, Float32Array.from(judgements, of), [judgements.length]);
  const others = answerBatch(judgements.map(({ mismatched }) => mismatched));
  const ofOthers = asInTraining(() => tensorScope(() => sumOverAnswers(answerLogProbs(policy, others), others)));
  const batch = answerBatch(judgements.map(({ answered }) => answered));
  const { logProbs, meanLogits } = watchedLogProbs(policy, batch, reading);
  const own = sumOverAnswers(logProbs, batch); // [judgements]
  const { loss, kl, rewards } = ktoLoss(
    {
      logRatios: own.sub(numbers(({ referenceLogProbs }) => referenceLogProbs[0])),
      isDesirable: judgements.map(({ isDesirable }) => isDesirable),
      mismatched: ofOthers.sub(numbers(({ referenceLogProbs }) => referenceLogProbs[1])),
    },
    options,
  );
  const seen = {
    rewards,
    logps: own.detach(),
    logits: meanOverAnswers(meanLogits, batch),
  };
  const sides = {
    chosen: numbers(({ isDesirable }) => (isDesirable ? weights.chosen : 0)),
    rejected: numbers(({ isDesirable }) => (isDesirable ? 0 : weights.rejected)),
  };
  const metrics: Record<string, Tensor> = { kl };
  for (const [side, shares] of Object.entries(sides)) {
    if (weights[side as keyof typeof sides] === 0) continue; // none in the whole step
    for (const [name, values] of Object.entries(seen)) metrics[`${name}/${side}`] = values.mul(shares).sum();
  }
  const [chosen, rejected] = [metrics["rewards/chosen"], metrics["rewards/rejected"]];
  return { loss, metrics: chosen && rejected ? { ...metrics, "rewards/margins": chosen.sub(rejected) } : metrics };
}
