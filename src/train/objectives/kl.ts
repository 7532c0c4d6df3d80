import type { Tensor } from "../../tensor/tensor.ts";

/** Which estimate of the divergence is taken from samples. */
export type KlEstimator = "k1" | "k2" | "k3";

/**
 * Estimates of KL(π ‖ π₀) from tokens that π sampled, one for each token, in nats. With r = log π₀ − log π:
 * k1 = −r (unbiased, may be negative), k2 = r²/2 (biased, less noisy), k3 = eʳ − 1 − r (unbiased, never negative).
 *
 * Shapes: both `[tokens]` → `[tokens]`.
 *
 * @see Schulman (2020), "Approximating KL divergence".
 */
export function klEstimate(logProbs: Tensor, referenceLogProbs: Tensor, estimator: KlEstimator): Tensor {
  const difference = logProbs.sub(referenceLogProbs);
  switch (estimator) {
    case "k1":
      return difference;
    case "k2":
      return difference.map("square").mul(0.5);
    case "k3":
      return difference.neg().exp().sub(1).add(difference);
  }
}
