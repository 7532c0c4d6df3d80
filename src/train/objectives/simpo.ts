import type { Tensor } from "../../tensor/tensor.ts";
import type { PairLogProbs } from "./dpo.ts";

/** Constants of {@link simpoLoss}. */
export interface SimpoOptions {
  /** Scale of an answer's log-probability a token. */
  readonly beta: number;
  /** By how much the chosen answer's reward shall be higher. */
  readonly gamma: number;
}

/**
 * Simple preference optimisation: the reward is the policy's own log-probability a token, without a reference, and
 * shall differ by a margin: L = −mean log σ(β log π(c)/|c| − β log π(r)/|r| − γ).
 *
 * Shapes: policy `[batch]` each, means over tokens → scalar.
 *
 * @see Meng et al. (2024), equation 6, arXiv:2405.14734.
 */
export function simpoLoss({ chosen, rejected }: PairLogProbs, { beta, gamma }: SimpoOptions): Tensor {
  return chosen.sub(rejected).mul(beta).sub(gamma).map("logSigmoid").mean().neg();
}
