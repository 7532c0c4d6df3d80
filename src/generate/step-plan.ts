/** A sequence that has a slot: so many of its tokens were not read yet, one where it decodes. */
export interface Pending {
  readonly tokens: number;
  /** Whether it still reads its prompt. */
  readonly isReading: boolean;
}

/** Rows of a pass in which somebody decodes. */
const budget = 256;
/** Rows of prompts beside those who decode: what a prompt may cost them. */
const besideOthers = 128;
/** Rows of prompts where nobody decodes. */
export const rowsAlone = 512;

/**
 * How many tokens of each sequence a pass takes: one of all that decode, and of prompts, the first ones first, as much as
 * the others can be kept waiting for.
 *
 * @param isWhole - Prompts can't be cut: the first is taken as it is.
 */
export function planStep(pending: readonly Pending[], isWhole: boolean): number[] {
  const decoding = pending.filter(({ isReading }) => !isReading).length;
  let room = decoding === 0 ? rowsAlone : Math.max(1, Math.min(besideOthers, budget - decoding));
  return pending.map(({ tokens, isReading }) => {
    if (!isReading) return 1;
    const some = room > 0 && isWhole ? tokens : Math.min(tokens, Math.max(room, 0));
    room -= some;
    return some;
  });
}
