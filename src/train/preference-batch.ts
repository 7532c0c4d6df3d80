import type { EncodedPreference } from "../data/encoded-rankings.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { AnswerBatch } from "./answers.ts";
import { answerBatch, answerLogits, answerLogProbs, answerTokens, readAnswers, sumOverAnswers } from "./answers.ts";
import type { DpoOptions } from "./objectives/dpo.ts";
import { dpoLoss } from "./objectives/dpo.ts";
import { pickedLogProbs } from "./objectives/token-log-probs.ts";
import type { MeasuredLoss } from "./run.ts";

/** A pair and how likely the reference finds its answers. */
export interface ReferencedPair extends EncodedPreference {
  /** log π₀ of each answer: the sum over its tokens, or their mean for IPO. */
  readonly referenceLogProbs: readonly [chosen: number, rejected: number];
}

/** The reference's log-probabilities of all pairs, computed once, so that it need not stay in memory. */
export async function referencePairs(
  reference: LanguageModel,
  pairs: readonly EncodedPreference[],
  batchSize: number,
  options: DpoOptions,
  signal?: AbortSignal,
): Promise<ReferencedPair[]> {
  const answers = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const compute = (batch: AnswerBatch): Tensor => overAnswers(answerLogProbs(reference, batch), batch, options);
  const all = await readAnswers(answers, 2 * batchSize, compute, signal);
  return pairs.map((pair, i) => ({
    ...pair,
    referenceLogProbs: [all[2 * i]?.[0] ?? Number.NaN, all[2 * i + 1]?.[0] ?? Number.NaN],
  }));
}

/**
 * The loss of direct preference optimisation on some pairs: all chosen answers, then all rejected ones, go through the
 * policy together. Metrics are those that TRL logs for DPO.
 */
export function dpoObjective(
  policy: LanguageModel,
  pairs: readonly ReferencedPair[],
  options: DpoOptions,
): MeasuredLoss {
  const { backend } = policy;
  const batch = answerBatch([...pairs.map(({ chosen }) => chosen), ...pairs.map(({ rejected }) => rejected)]);
  const logits = answerLogits(policy, batch); // [tokens, vocabulary]
  const logProbs = overAnswers(pickedLogProbs(logits, answerTokens(policy, batch), 1), batch, options); // [2 · pairs]
  const count = pairs.length;
  const own = { chosen: logProbs.slice(0, 0, count), rejected: logProbs.slice(0, count, 2 * count) };
  const side = (which: 0 | 1): Tensor =>
    Tensor.from(
      backend,
      Float32Array.from(pairs, ({ referenceLogProbs }) => referenceLogProbs[which]),
      [count],
    );
  const { loss, chosenRewards, rejectedRewards } = dpoLoss(own, { chosen: side(0), rejected: side(1) }, options);
  const chosenTokens = batch.answerLengths.subarray(0, count).reduce((a, b) => a + b, 0);
  const meanLogits = logits.detach().mean(-1); // [tokens]
  const margins = chosenRewards.sub(rejectedRewards);
  const metrics = {
    "rewards/chosen": chosenRewards.mean(),
    "rewards/rejected": rejectedRewards.mean(),
    "rewards/margins": margins.mean(),
    "rewards/accuracies": isPositive(margins).mean(),
    "logps/chosen": own.chosen.detach().mean(),
    "logps/rejected": own.rejected.detach().mean(),
    "logits/chosen": meanLogits.slice(0, 0, chosenTokens).mean(),
    "logits/rejected": meanLogits.slice(0, chosenTokens, batch.tokens.length).mean(),
  };
  return { loss, metrics };
}

/** Log-probabilities of tokens as one number an answer, as the loss wants them: `[tokens]` → `[batch]`. */
function overAnswers(logProbs: Tensor, batch: AnswerBatch, { kind }: DpoOptions): Tensor {
  const sums = sumOverAnswers(logProbs, batch);
  if (kind !== "ipo") return sums;
  const shares = Float32Array.from(batch.answerLengths, (length) => 1 / length);
  return sums.mul(Tensor.from(sums.backend, shares, sums.shape));
}

/** 1 where x > 0, else 0. */
function isPositive(x: Tensor): Tensor {
  const out = x.blank();
  x.backend.kernels.binary("greater", x, x.filled([], 0), out);
  return out;
}
