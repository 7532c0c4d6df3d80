import type { Tensor } from "../../tensor/tensor.ts";
import type { PairLogProbs } from "./dpo.ts";

/** Loss of {@link orpoLoss} and its parts. Scalars, the parts off the tape. */
export interface OrpoLoss {
  readonly loss: Tensor;
  /** −log π(c) a token of the chosen answers. */
  readonly negativeLogLikelihood: Tensor;
  /** Mean of log σ(log odds(c) − log odds(r)). */
  readonly logOddsRatio: Tensor;
  /** Mean of log odds(c) − log odds(r). */
  readonly logOdds: Tensor;
}

/** A mean log-probability nearer to 0 than this is taken for it: the odds of what is certain are infinite. */
const certain = -1e-7;

/**
 * Odds ratio preference optimisation: fine-tuning on the chosen answer and a penalty of the rejected one in a single
 * loss, without a reference. With p = π to the power of 1 / the answer's tokens, and odds = p / (1 − p):
 * L = L_NLL(c) − β · mean log σ(log odds(c) − log odds(r)).
 *
 * Shapes: policy `[batch]` each, means over tokens; `negativeLogLikelihood` a scalar.
 *
 * @see Hong et al. (2024), equations 6 and 7 (whose λ is β here), arXiv:2403.07691. L_NLL is over the answer, as
 * in the paper; TRL takes prompt and answer.
 */
export function orpoLoss(policy: PairLogProbs, negativeLogLikelihood: Tensor, { beta }: { beta: number }): OrpoLoss {
  const logOdds = logOddsOf(policy.chosen).sub(logOddsOf(policy.rejected));
  const ratio = logOdds.map("logSigmoid").mean();
  return {
    loss: negativeLogLikelihood.sub(ratio.mul(beta)),
    negativeLogLikelihood: negativeLogLikelihood.detach(),
    logOddsRatio: ratio.detach(),
    logOdds: logOdds.detach().mean(),
  };
}

/**
 * log (p / (1 − p)) of log p < 0. 1 − eˣ is 2u / (1 + u) with u = tanh(−x/2), which keeps its digits where p is near 1.
 */
function logOddsOf(logProbs: Tensor): Tensor {
  const safe = logProbs.minimum(certain);
  const u = safe.mul(-0.5).map("tanh");
  return safe.sub(u.log().sub(u.add(1).log()).add(Math.LN2));
}
