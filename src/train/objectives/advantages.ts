/** How far ahead a token is credited. */
export interface AdvantageSettings {
  /** Discount γ of a reward one token later. */
  readonly gamma: number;
  /** Between the critic's word alone (0) and the rewards that really came (1). */
  readonly lambda: number;
}

/** One answer's advantages and what its values should have been, a number for each token. */
export interface Advantages {
  readonly advantages: Float32Array;
  /** Advantages + values: the critic's targets. */
  readonly returns: Float32Array;
}

/**
 * Generalised advantage estimation over the tokens of one answer:
 * Âₜ = Σₗ (γλ)ˡ δₜ₊ₗ, δₜ = rₜ + γ V(sₜ₊₁) − V(sₜ), where V is 0 after the last token.
 *
 * @see Schulman et al. (2016), equation 16, arXiv:1506.02438.
 */
export function generalizedAdvantages(
  rewards: ArrayLike<number>,
  values: ArrayLike<number>,
  { gamma, lambda }: AdvantageSettings,
): Advantages {
  const advantages = new Float32Array(values.length);
  let following = 0;
  for (let t = values.length - 1; t >= 0; t--) {
    const delta = (rewards[t] ?? 0) + gamma * (values[t + 1] ?? 0) - (values[t] ?? 0);
    following = delta + gamma * lambda * following;
    advantages[t] = following;
  }
  return { advantages, returns: advantages.map((advantage, t) => advantage + (values[t] ?? 0)) };
}

/**
 * The numbers of all sequences, scaled together to variance 1 (the unbiased one) and, unless `keepMean`, shifted to mean
 * 0: x ← (x − μ) / √(σ² + 10⁻⁸), or that plus μ. A single number has no variance and is only shifted.
 */
export function whiten(sequences: readonly Float32Array[], keepMean = false): Float32Array[] {
  const count = sequences.reduce((n, { length }) => n + length, 0);
  const total = (of: (x: number) => number): number =>
    sequences.reduce((sum, sequence) => sequence.reduce((a, x) => a + of(x), sum), 0);
  const mean = total((x) => x) / Math.max(count, 1);
  const variance = count > 1 ? total((x) => (x - mean) ** 2) / (count - 1) : 1;
  const scale = 1 / Math.sqrt(variance + 1e-8);
  return sequences.map((sequence) => sequence.map((x) => (x - mean) * scale + (keepMean ? mean : 0)));
}
