import { Tensor } from "../../tensor/tensor.ts";

/** Constants of {@link ktoLoss}. */
export interface KtoOptions {
  /** Strength of the pull to the reference, 1/nat. */
  readonly beta: number;
  /** λ_D: weight of answers that are wanted. */
  readonly desirableWeight: number;
  /** λ_U: weight of answers that are not. */
  readonly undesirableWeight: number;
}

/** What {@link ktoLoss} compares. */
export interface KtoTerms {
  /** `[batch]`: log π − log π₀ of each answer. */
  readonly logRatios: Tensor;
  /** Whether each answer is wanted. */
  readonly isDesirable: readonly boolean[];
  /** `[others]`: log π − log π₀ of answers to other prompts, off the tape. */
  readonly mismatched: Tensor;
}

/** Loss of {@link ktoLoss} and what it was measured from. */
export interface KtoLoss {
  /** Scalar. */
  readonly loss: Tensor;
  /** Scalar: z₀, in nats. Off the tape, as the following. */
  readonly kl: Tensor;
  /** `[batch]`: β (log π − log π₀). */
  readonly rewards: Tensor;
}

/**
 * Kahneman-Tversky optimisation, from single answers that are wanted or not. With z₀ = max(0, mean of `mismatched`), an
 * estimate of KL(π ‖ π₀):
 * L = mean λ_D (1 − σ(β (log π/π₀ − z₀))) over wanted answers, λ_U (1 − σ(β (z₀ − log π/π₀))) over the others.
 *
 * @see Ethayarajh et al. (2024), section 4, arXiv:2402.01306.
 */
export function ktoLoss({ logRatios, isDesirable, mismatched }: KtoTerms, options: KtoOptions): KtoLoss {
  const { beta, desirableWeight, undesirableWeight } = options;
  const kl = mismatched.detach().mean().maximum(0);
  const constants = (of: (isWanted: boolean) => number): Tensor =>
    Tensor.from(logRatios.backend, Float32Array.from(isDesirable, of), logRatios.shape);
  const signs = constants((isWanted) => (isWanted ? beta : -beta));
  const weights = constants((isWanted) => (isWanted ? desirableWeight : undesirableWeight));
  const worse = logRatios.sub(kl).mul(signs).neg().map("sigmoid"); // 1 − σ(x) = σ(−x)
  return { loss: worse.mul(weights).mean(), kl, rewards: logRatios.detach().mul(beta) };
}
