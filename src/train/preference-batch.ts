import type { EncodedPreference } from "../data/encoded-rankings.ts";
import type { LanguageModel } from "../models/language-model.ts";
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
import type { DpoOptions, PairLogProbs } from "./objectives/dpo.ts";
import { dpoLoss } from "./objectives/dpo.ts";
import { orpoLoss } from "./objectives/orpo.ts";
import type { SimpoOptions } from "./objectives/simpo.ts";
import { simpoLoss } from "./objectives/simpo.ts";
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
  const overAnswers = options.kind === "ipo" ? meanOverAnswers : sumOverAnswers;
  const compute = (batch: AnswerBatch): Tensor => overAnswers(answerLogProbs(reference, batch), batch);
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
  reading: AnswerReading = {},
): MeasuredLoss {
  const pass = passOf(policy, pairs, options.kind === "ipo" ? meanOverAnswers : sumOverAnswers, reading);
  const side = (which: 0 | 1): Tensor =>
    Tensor.from(
      policy.backend,
      Float32Array.from(pairs, ({ referenceLogProbs }) => referenceLogProbs[which]),
      [pairs.length],
    );
  const { loss, chosenRewards, rejectedRewards } = dpoLoss(pass.own, { chosen: side(0), rejected: side(1) }, options);
  return { loss, metrics: pairMetrics(pass, chosenRewards, rejectedRewards) };
}

/** Which loss is taken of pairs without a reference. */
export type ReferenceFreeOptions =
  | ({ readonly kind: "simpo" } & SimpoOptions)
  | { readonly kind: "orpo"; readonly beta: number };

/** {@link dpoObjective} of the losses that need no reference. Metrics are those that TRL logs for CPO and ORPO. */
export function referenceFreeObjective(
  policy: LanguageModel,
  pairs: readonly EncodedPreference[],
  options: ReferenceFreeOptions,
  reading: AnswerReading = {},
): MeasuredLoss {
  const pass = passOf(policy, pairs, meanOverAnswers, reading);
  const { chosen, rejected } = pass.own;
  const rewards = [chosen, rejected].map((logProbs) => logProbs.detach().mul(options.beta)) as [Tensor, Tensor];
  const metrics = pairMetrics(pass, ...rewards);
  if (options.kind === "simpo") return { loss: simpoLoss(pass.own, options), metrics };
  const likelihood = pass.tokenLogProbs.slice(0, 0, pass.chosenTokens).mean().neg();
  const { loss, negativeLogLikelihood, logOddsRatio, logOdds } = orpoLoss(pass.own, likelihood, options);
  const parts = { nll_loss: negativeLogLikelihood, log_odds_ratio: logOddsRatio, log_odds_chosen: logOdds };
  return { loss, metrics: { ...metrics, ...parts } };
}

/** What a policy says of some pairs. */
interface PairPass {
  /** `[tokens]`: of all chosen answers, then of all rejected ones. */
  readonly tokenLogProbs: Tensor;
  /** `[tokens]`: mean over the vocabulary, off the tape. */
  readonly meanLogits: Tensor;
  /** Tokens of the chosen answers. */
  readonly chosenTokens: number;
  /** `[pairs]` each, one number an answer. */
  readonly own: PairLogProbs;
}

function passOf(
  policy: LanguageModel,
  pairs: readonly EncodedPreference[],
  overAnswers: (logProbs: Tensor, batch: AnswerBatch) => Tensor,
  reading: AnswerReading,
): PairPass {
  const batch = answerBatch([...pairs.map(({ chosen }) => chosen), ...pairs.map(({ rejected }) => rejected)]);
  const { logProbs: tokenLogProbs, meanLogits } = watchedLogProbs(policy, batch, reading);
  const each = overAnswers(tokenLogProbs, batch); // [2 · pairs]
  const count = pairs.length;
  return {
    tokenLogProbs,
    meanLogits,
    chosenTokens: batch.answerLengths.subarray(0, count).reduce((a, b) => a + b, 0),
    own: { chosen: each.slice(0, 0, count), rejected: each.slice(0, count, 2 * count) },
  };
}

function pairMetrics(
  { meanLogits, chosenTokens, own }: PairPass,
  chosenRewards: Tensor,
  rejectedRewards: Tensor,
): Record<string, Tensor> {
  const margins = chosenRewards.sub(rejectedRewards);
  return {
    "rewards/chosen": chosenRewards.mean(),
    "rewards/rejected": rejectedRewards.mean(),
    "rewards/margins": margins.mean(),
    "rewards/accuracies": isPositive(margins).mean(),
    "logps/chosen": own.chosen.detach().mean(),
    "logps/rejected": own.rejected.detach().mean(),
    "logits/chosen": meanLogits.slice(0, 0, chosenTokens).mean(),
    "logits/rejected": meanLogits.slice(0, chosenTokens, meanLogits.size).mean(),
  };
}

/** 1 where x > 0, else 0. */
function isPositive(x: Tensor): Tensor {
  const out = x.blank();
  x.backend.kernels.binary("greater", x, x.filled([], 0), out);
  return out;
}
