/** How strongly the policy is held to its reference. */
export interface KlControl {
  /** β at the start, and always unless there is a target. */
  readonly coefficient: number;
  /** KL of an answer, in nats, that β is steered to; null keeps β fixed. */
  readonly target: number | null;
  /** Answers over which β may change by a fifth at most; more is slower. */
  readonly horizon: number;
}

/**
 * The KL coefficient after `answers` more answers whose mean KL was `kl`: β ← β (1 + clip((kl − target) / target,
 * −0.2, 0.2) · answers / horizon).
 *
 * @see Ziegler et al. (2019), section 2.2, arXiv:1909.08593.
 */
export function nextKlCoefficient(coefficient: number, kl: number, answers: number, control: KlControl): number {
  const { target, horizon } = control;
  if (target === null) return coefficient;
  const error = Math.min(0.2, Math.max(-0.2, (kl - target) / target));
  return coefficient * (1 + (error * answers) / horizon);
}
