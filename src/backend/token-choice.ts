/** Amounts for some tokens, in parallel lists. */
export interface TokenAmounts {
  readonly ids: Int32Array;
  readonly amounts: Float64Array;
}

/**
 * How one token is chosen from a row of logits. In this order: what may not come is taken out, `bias` is added, the
 * repetition penalty divides, `lowered` is subtracted, temperature divides; then top-k, top-p and min-p take tokens away.
 *
 * Weights are whole multiples of a power of 2 of the likeliest token's, so that sums of them are exact in any order, and
 * every backend chooses the same token. Of equal weights, the smaller id counts as the larger one.
 */
export interface TokenChoice {
  /** 0 takes the likeliest, the first of equals. */
  readonly temperature: number;
  /** Keeps so many of the largest weights; 0 keeps all. */
  readonly topK: number;
  /** Keeps the fewest of the largest weights that hold this share of all; 1 keeps all. */
  readonly topP: number;
  /** Keeps weights of at least this share of the largest. */
  readonly minP: number;
  /** Divides positive logits of `seen`, multiplies negative ones. */
  readonly repetitionPenalty: number;
  readonly seen: Int32Array;
  readonly bias: TokenAmounts;
  readonly lowered: TokenAmounts;
  /** A bit for each token, from the lowest of the first word on: 1 where it may come. Null: all may. */
  readonly allowed: Int32Array | null;
  /** In [0, 1): the token is the first, in the order of ids, at which the kept weights add up to more than this share. */
  readonly uniform: number;
  /** Scored instead of one that is chosen. */
  readonly given: number | null;
  /** Likeliest tokens to tell, with log-probabilities; null for no log-probability at all. */
  readonly alternatives: number | null;
}

/** What a row of logits, untouched, says of one token. */
export interface TokenLogprob {
  readonly token: number;
  /** log p, in nats. */
  readonly logprob: number;
}

/** A token that was chosen, or given. */
export interface ChosenToken {
  /** −1 when the logits are no numbers. */
  readonly token: number;
  readonly logprob: number | null;
  /** Falling; of equals, the smaller id is the first. */
  readonly top: readonly TokenLogprob[];
}

/** log₂ of what the largest weight of a row counts: the sum of all stays below 2⁵³. */
export function weightBits(vocabularySize: number): number {
  return Math.min(40, 52 - Math.ceil(Math.log2(Math.max(vocabularySize, 1))));
}
