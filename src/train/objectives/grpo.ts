import { deviation, mean } from "../../core/mean.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { klEstimate } from "./kl.ts";

/** By what advantages are divided: the deviation of rewards in their group, or of all of an iteration; or nothing. */
export type AdvantageScale = "group" | "batch" | "none";

/** Advantages of answers, and how much the rewards of each group differ. */
export interface GroupAdvantages {
  readonly advantages: number[];
  /** Standard deviation (the unbiased one) of the rewards of each group. */
  readonly groupDeviations: number[];
}

/**
 * How much better each answer is than the others to the same prompt: A = (r − mean of its group) / (σ + 10⁻⁴), σ the
 * standard deviation of its group, of all rewards, or absent.
 *
 * @param rewards - Groups of `size` answers one behind the other.
 * @see Shao et al. (2024), section 4.1.2, arXiv:2402.03300; without σ: Liu et al. (2025), "Dr. GRPO", arXiv:2503.20783.
 */
export function groupAdvantages(rewards: readonly number[], size: number, scale: AdvantageScale): GroupAdvantages {
  const groups = Array.from({ length: rewards.length / size }, (_, g) => rewards.slice(g * size, (g + 1) * size));
  const groupDeviations = groups.map(deviation);
  const all = deviation(rewards);
  const divisors = { group: (g: number) => (groupDeviations[g] ?? 0) + 1e-4, batch: () => all + 1e-4, none: () => 1 };
  const advantages = groups.flatMap((group, g) => {
    const center = mean(group);
    return group.map((reward) => (reward - center) / divisors[scale](g));
  });
  return { advantages, groupDeviations };
}

/** What the sum over tokens is divided by. `dapo` and `bnpo` differ in what a micro-batch weighs, and not here. */
export type GrpoLossType = "grpo" | "bnpo" | "dr_grpo" | "dapo";

/** Constants of {@link grpoLoss}. */
export interface GrpoOptions {
  readonly lossType: GrpoLossType;
  /** ε: how far the ratio of probabilities may fall below 1 … */
  readonly epsilon: number;
  /** … and rise above it. */
  readonly epsilonHigh: number;
  /** Price of a nat of divergence from the reference; 0 is off. */
  readonly beta: number;
  /** Longest answer that could have been, in tokens. */
  readonly maxNewTokens: number;
}

/** What {@link grpoLoss} compares. */
export interface GrpoTerms {
  /** `[tokens]`: of the policy being trained. */
  readonly logProbs: Tensor;
  /** `[tokens]`: of the policy that sampled; null where that is this one. */
  readonly oldLogProbs: Tensor | null;
  /** `[tokens]`; null without a reference. */
  readonly referenceLogProbs: Tensor | null;
  /** One for each answer. */
  readonly advantages: readonly number[];
  /** Tokens of each answer. */
  readonly lengths: readonly number[];
  /** Whether each answer is learned from: those that were cut may be left out. */
  readonly isLearnt: readonly boolean[];
}

/** Loss of a policy and what is watched beside it, off the tape; all scalars. */
export interface GrpoLoss {
  readonly loss: Tensor;
  /** Share of tokens that are held at 1 − ε, and at 1 + ε. */
  readonly clippedLow: Tensor;
  readonly clippedHigh: Tensor;
  /** Mean of k3 over tokens, in nats; null without a reference. */
  readonly kl: Tensor | null;
}

/**
 * Group-relative policy optimisation: with ρ = π/π_old, a token's loss is
 * ℓ = −min(Aρ, A · clip(ρ, 1 − ε, 1 + ε_high)) + β k3(π, π₀), and the loss
 *
 * - `grpo`: its mean over the tokens of each answer, then over answers;
 * - `bnpo`, `dapo`: its mean over all tokens;
 * - `dr_grpo`: its sum over the tokens of each answer by the length an answer may have, then the mean over answers.
 *
 * @see Shao et al. (2024), equation 3, arXiv:2402.03300; Yu et al. (2025), "DAPO", equations 8 and 12, arXiv:2503.14476;
 * Liu et al. (2025), "Dr. GRPO", arXiv:2503.20783. Names of the types are TRL's.
 */
export function grpoLoss(terms: GrpoTerms, options: GrpoOptions): GrpoLoss {
  const { logProbs, oldLogProbs, referenceLogProbs, lengths } = terms;
  const { epsilon, epsilonHigh, beta } = options;
  const constants = (of: (answer: number) => number): Tensor => {
    const values = Float32Array.from(lengths.flatMap((length, i) => Array.from({ length }, () => of(i))));
    return Tensor.from(logProbs.backend, values, [values.length]);
  };
  const advantages = constants((i) => terms.advantages[i] ?? 0);
  const ratio = logProbs.sub(oldLogProbs ?? logProbs.detach()).exp();
  const plain = ratio.mul(advantages).neg();
  const held = ratio
    .clamp(1 - epsilon, 1 + epsilonHigh)
    .mul(advantages)
    .neg();
  const kl = referenceLogProbs && klEstimate(logProbs, referenceLogProbs, "k3");
  const policy = plain.maximum(held);
  const perToken = kl ? policy.add(kl.mul(beta)) : policy;
  const isHeld = isGreater(held, plain);
  return {
    loss: perToken.mul(constants(tokenWeight(terms, options))).sum(),
    clippedLow: isHeld.mul(constants((i) => ((terms.advantages[i] ?? 0) < 0 ? 1 : 0))).mean(),
    clippedHigh: isHeld.mul(constants((i) => ((terms.advantages[i] ?? 0) > 0 ? 1 : 0))).mean(),
    kl: kl?.detach().mean() ?? null,
  };
}

/** What a token of each answer weighs in the loss. */
function tokenWeight(
  { lengths, isLearnt }: Pick<GrpoTerms, "lengths" | "isLearnt">,
  { lossType, maxNewTokens }: Pick<GrpoOptions, "lossType" | "maxNewTokens">,
): (answer: number) => number {
  const tokens = lengths.reduce((sum, length, i) => sum + (isLearnt[i] ? length : 0), 0);
  const weights = {
    grpo: (i: number) => 1 / (lengths.length * (lengths[i] ?? 1)),
    bnpo: () => 1 / tokens,
    dapo: () => 1 / tokens,
    dr_grpo: () => 1 / (lengths.length * maxNewTokens),
  };
  return (i) => (isLearnt[i] ? weights[lossType](i) : 0);
}

/** 1 where a > b, else 0; off the tape. */
function isGreater(a: Tensor, b: Tensor): Tensor {
  const out = a.blank();
  a.backend.kernels.binary("greater", a, b, out);
  return out;
}
