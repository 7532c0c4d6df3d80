/** A sample of a mixture: which source it is from, and how many samples of that source came before it. */
export interface MixedSample {
  readonly source: number;
  /** 0-based. */
  readonly index: number;
}

/** Weights are whole multiples of 2⁻²⁰ of those that remain, so that everything below is exact up to 2³² samples. */
const resolution = 2 ** 20;

/**
 * Interleaves sources in proportion to their weights, as evenly as possible and without any state: the n-th sample
 * follows from n alone.
 *
 * Source s takes ⌊n · wₛ / (wₛ + wₛ₊₁ + …)⌋ of the first n samples that the sources before it leave over.
 */
export function mixture(weights: readonly number[]): (sample: number) => MixedSample {
  const shares = weights.map((weight, source) => {
    const rest = weights.slice(source).reduce((a, b) => a + b, 0);
    const isLast = source === weights.length - 1;
    return isLast ? resolution : clamp(Math.round((weight / rest) * resolution), 1, resolution - 1);
  });
  return (sample) => {
    let left = sample;
    for (const [source, share] of shares.entries()) {
      const taken = Math.floor((left * share) / resolution);
      if (Math.floor(((left + 1) * share) / resolution) > taken) return { source, index: taken };
      left -= taken;
    }
    throw new Error(`internal: sample ${sample} of a mixture of ${weights.length} sources`);
  };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
