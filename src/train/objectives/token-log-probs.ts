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
  const all = logOfSoftmax(logits, temperature);
  return { logProbs: all.pick(ids), entropy: all.exp().mul(all).sum(-1).neg() };
}

/** {@link tokenLogProbs} without the entropy, which costs more than the rest. */
export function pickedLogProbs(logits: Tensor, ids: Tensor, temperature: number): Tensor {
  return logOfSoftmax(logits, temperature).pick(ids);
}

function logOfSoftmax(logits: Tensor, temperature: number): Tensor {
  return (temperature === 1 ? logits : logits.div(temperature)).logSoftmax();
}
