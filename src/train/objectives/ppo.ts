import type { Tensor } from "../../tensor/tensor.ts";

/** What {@link policyLoss} compares, for the tokens that the old policy sampled. All `[tokens]`. */
export interface PolicyTerms {
  /** Of the policy being trained. */
  readonly logProbs: Tensor;
  /** Of the policy that sampled the tokens. */
  readonly oldLogProbs: Tensor;
  readonly advantages: Tensor;
}

/** Loss of a policy, and signs of how far it has moved from the one that sampled; all scalars. */
export interface PolicyLoss {
  readonly loss: Tensor;
  /** Share of tokens where the clipped term rules. Off the tape, as are the following. */
  readonly clipFraction: Tensor;
  /** ½ · mean (log π − log π_old)²: how far the update has gone, in nats. */
  readonly approximateKl: Tensor;
  /** Mean of π / π_old: 1 before the first update, and never far from it while things go well. */
  readonly meanRatio: Tensor;
}

/**
 * Clipped surrogate objective, as a loss to minimise: with ρ = π/π_old,
 * L = mean max(−Âρ, −Â · clip(ρ, 1 − ε, 1 + ε)).
 *
 * @see Schulman et al. (2017), equation 7, arXiv:1707.06347.
 */
export function policyLoss({ logProbs, oldLogProbs, advantages }: PolicyTerms, clip: number): PolicyLoss {
  const difference = logProbs.sub(oldLogProbs);
  const ratio = difference.exp();
  const plain = ratio.mul(advantages).neg();
  const clipped = ratio
    .clamp(1 - clip, 1 + clip)
    .mul(advantages)
    .neg();
  return {
    loss: plain.maximum(clipped).mean(),
    clipFraction: isGreater(clipped, plain).mean(),
    approximateKl: difference.detach().map("square").mean().mul(0.5),
    meanRatio: ratio.detach().mean(),
  };
}

/** What {@link valueLoss} compares. All `[tokens]`. */
export interface ValueTerms {
  /** Of the critic being trained. */
  readonly values: Tensor;
  /** Of the critic when the tokens were sampled. */
  readonly oldValues: Tensor;
  readonly returns: Tensor;
}

/** Loss of a critic; scalars. */
export interface ValueLoss {
  readonly loss: Tensor;
  /** Share of tokens where the clipped term rules. Off the tape. */
  readonly clipFraction: Tensor;
}

/**
 * Half the squared error of the critic, its step clipped as the policy's is:
 * L = ½ mean max((V − R)², (V_old + clip(V − V_old, −ε, ε) − R)²).
 *
 * @see Ziegler et al. (2019), arXiv:1909.08593, whose code it follows; Schulman et al. (2017), equation 9, unclipped.
 */
export function valueLoss({ values, oldValues, returns }: ValueTerms, clip: number): ValueLoss {
  const plain = values.sub(returns).map("square");
  const moved = oldValues.add(values.sub(oldValues).clamp(-clip, clip));
  const clipped = moved.sub(returns).map("square");
  return { loss: plain.maximum(clipped).mean().mul(0.5), clipFraction: isGreater(clipped, plain).mean() };
}

/** 1 where a > b, else 0; off the tape. */
function isGreater(a: Tensor, b: Tensor): Tensor {
  const out = a.blank();
  a.backend.kernels.binary("greater", a, b, out);
  return out;
}
