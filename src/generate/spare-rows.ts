import type { Tokenizer } from "../text/tokenizer.ts";

/** What says which ids are tokens. */
export type TokenNames = Pick<Tokenizer, "tokenOf">;

/**
 * Ids below `rows` that no token has: the rows by which an embedding was rounded up (50,304 for GPT-2's 50,257 tokens),
 * and gaps in the ids. What a model says of them was never trained. None without a tokenizer.
 */
export function spareRows(tokenizer: TokenNames | undefined, rows: number): readonly number[] {
  const spare: number[] = [];
  if (tokenizer) for (let id = 0; id < rows; id++) if (tokenizer.tokenOf(id) === null) spare.push(id);
  return spare;
}

/** A bit for each id below `rows` that a token has, as `TokenChoice.allowed`; null where all have one, or nobody knows. */
export function nameableTokens(tokenizer: TokenNames | undefined, rows: number): Int32Array | null {
  const spare = spareRows(tokenizer, rows);
  if (spare.length === 0) return null;
  const bits = new Int32Array(Math.ceil(rows / 32)).fill(-1);
  for (const id of spare) bits[id >> 5] = (bits[id >> 5] ?? 0) & ~(1 << (id & 31));
  return bits;
}

/** Takes away, in place, what a distribution gives to some ids: none of them can be drawn. */
export function neverDraw(logits: Float32Array, ids: readonly number[]): void {
  for (const id of ids) logits[id] = Number.NEGATIVE_INFINITY;
}
