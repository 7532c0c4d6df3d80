/** Sequences side by side, the shorter ones filled up behind. */
export interface PaddedBatch {
  /** `[batch · time]`; 0 on padding, which nothing reads: later tokens are invisible to earlier ones. */
  readonly ids: Int32Array;
  readonly batch: number;
  /** Length of the longest. */
  readonly time: number;
  /** `[batch]` */
  readonly lengths: Int32Array;
}

/** Puts sequences into one block, at least `least` long. */
export function paddedBatch(sequences: readonly Int32Array[], least = 1): PaddedBatch {
  const lengths = Int32Array.from(sequences, ({ length }) => length);
  const time = lengths.reduce((a, b) => Math.max(a, b), least);
  const ids = new Int32Array(sequences.length * time);
  for (const [i, sequence] of sequences.entries()) ids.set(sequence, i * time);
  return { ids, batch: sequences.length, time, lengths };
}
