import type { LanguageModel } from "../../models/language-model.ts";
import { apply } from "../../tensor/op.ts";
import type { LogProbMeasures } from "../../tensor/ops/linear-log-probs.ts";
import { linearLogProbs } from "../../tensor/ops/linear-log-probs.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** What a model said of the tokens that came. */
export interface TokenLogProbs {
  /** `[tokens]`: log π(token), in nats. */
  readonly logProbs: Tensor;
  /** `[tokens]`: −Σ p log p over the vocabulary, in nats. */
  readonly entropy: Tensor;
}

/**
 * log π(aᵢ) = zᵢ[aᵢ]/T − log Σⱼ exp(zᵢ[j]/T) for the token aᵢ that followed, and the entropy of the distribution it came
 * from.
 *
 * Shapes: logits `[tokens, vocabulary]`, ids int32 `[tokens]`.
 */
export function tokenLogProbs(logits: Tensor, ids: Tensor, temperature: number): TokenLogProbs {
  const all = (temperature === 1 ? logits : logits.div(temperature)).logSoftmax();
  return { logProbs: all.pick(ids), entropy: all.exp().mul(all).sum(-1).neg() };
}

/** How {@link predictedLogProbs} reads the output layer. */
export interface PredictionOptions {
  /** Divides the logits; 1 without. */
  readonly temperature?: number;
  /** Filled in passing. */
  readonly measures?: LogProbMeasures;
}

/**
 * log π of the token that followed each hidden state, as the output layer with its bias and its cap says it, and 0 where
 * the id is negative. The logits of all states never exist at one time.
 *
 * Shapes: hidden `[tokens, width]`, ids int32 `[tokens]` → `[tokens]`.
 */
export function predictedLogProbs(
  {
    outputWeight,
    outputBias = null,
    logitCap: cap = null,
  }: Pick<LanguageModel, "outputWeight" | "outputBias" | "logitCap">,
  hidden: Tensor,
  targets: Tensor,
  { temperature = 1, measures }: PredictionOptions = {},
): Tensor {
  return apply(linearLogProbs, [hidden, outputWeight, outputBias], {
    targets,
    temperature,
    cap,
    measures: measures ?? null,
  });
}
