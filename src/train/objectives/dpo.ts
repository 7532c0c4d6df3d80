import type { Tensor } from "../../tensor/tensor.ts";

/** log-probability of both answers of each pair, `[batch]`: a sum over the answer's tokens, or their mean for IPO. */
export interface PairLogProbs {
  readonly chosen: Tensor;
  readonly rejected: Tensor;
}

/** Which loss is taken of the margin between two answers. */
export type DpoLossKind = "sigmoid" | "robust" | "ipo" | "hinge";

/** Constants of {@link dpoLoss}. */
export interface DpoOptions {
  readonly kind: DpoLossKind;
  /** Strength of the pull to the reference, 1/nat. */
  readonly beta: number;
  /** Share of pairs believed to be labelled the wrong way round; sigmoid and robust only. */
  readonly labelSmoothing: number;
}

/** Loss and what is watched beside it, off the tape. */
export interface DpoLoss {
  /** Scalar. */
  readonly loss: Tensor;
  /** `[batch]`: β (log π − log π₀) of the chosen answer, the reward that the policy implies. */
  readonly chosenRewards: Tensor;
  /** `[batch]` */
  readonly rejectedRewards: Tensor;
}

/**
 * Direct preference optimisation, mean over pairs. With the margin Δ = [log π(c) − log π₀(c)] − [log π(r) − log π₀(r)],
 * c chosen, r rejected, π₀ the reference:
 *
 * - `sigmoid`: −(1 − ε) log σ(βΔ) − ε log σ(−βΔ), ε the label smoothing;
 * - `robust`: (−(1 − ε) log σ(βΔ) + ε log σ(−βΔ)) / (1 − 2ε), whose mean over flipped labels is the loss of right ones;
 * - `ipo`: (Δ − 1/(2β))², where log-probabilities are means over tokens;
 * - `hinge`: max(0, 1 − βΔ).
 *
 * Shapes: every field `[batch]` → scalar.
 *
 * @see Rafailov et al. (2023), equation 7, arXiv:2305.18290; Azar et al. (2024), equation 17, arXiv:2310.12036;
 * Zhao et al. (2023), equation 2, arXiv:2305.10425. Smoothing: Mitchell (2023), "A note on DPO with noisy preferences";
 * robust: Chowdhury et al. (2024), arXiv:2403.00409.
 */
export function dpoLoss(policy: PairLogProbs, reference: PairLogProbs, options: DpoOptions): DpoLoss {
  const { beta } = options;
  const chosen = policy.chosen.sub(reference.chosen);
  const rejected = policy.rejected.sub(reference.rejected);
  return {
    loss: lossOf(chosen.sub(rejected), options).mean(),
    chosenRewards: chosen.detach().mul(beta),
    rejectedRewards: rejected.detach().mul(beta),
  };
}

function lossOf(margin: Tensor, { kind, beta, labelSmoothing }: DpoOptions): Tensor {
  switch (kind) {
    case "sigmoid":
      return weighed(margin, beta, 1 - labelSmoothing, labelSmoothing);
    case "robust":
      return weighed(margin, beta, 1 - labelSmoothing, -labelSmoothing).mul(1 / (1 - 2 * labelSmoothing));
    case "ipo":
      return margin.sub(1 / (2 * beta)).map("square");
    case "hinge":
      return margin.mul(-beta).add(1).map("relu");
  }
}

/** −a log σ(βΔ) − b log σ(−βΔ) */
function weighed(margin: Tensor, beta: number, a: number, b: number): Tensor {
  const right = margin.mul(beta).map("logSigmoid").mul(-a);
  return b === 0 ? right : right.sub(margin.mul(-beta).map("logSigmoid").mul(b));
}
