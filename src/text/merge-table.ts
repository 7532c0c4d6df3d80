import { CheckpointError } from "../core/errors.ts";

/** Integers that {@link MergeTable} stores for each pair: left, right, rank, merged. */
const stride = 4;

/** Which neighbours of a text merge, and in what order. */
export interface MergeOrder {
  /** A handle on the merge of two ids, or −1 where there is none. */
  find(left: number, right: number): number;
  /** Place of a merge in the order; the lowest merges first. Not negative. */
  rank(handle: number): number;
  /** Id that a merge makes. */
  merged(handle: number): number;
}

/**
 * The merges of a byte-pair encoding as a flat hash table: pair of token ids → rank and merged id. Lower ranks merge
 * first.
 */
export class MergeTable implements MergeOrder {
  readonly #entries: Int32Array;
  readonly #mask: number;

  /** `merges` holds [left, right, merged] ids in the order of rank. A pair that is repeated has its last rank. */
  constructor(merges: readonly (readonly [left: number, right: number, merged: number])[]) {
    let slots = 16;
    while (slots < merges.length * 2) slots *= 2;
    this.#mask = slots - 1;
    this.#entries = new Int32Array(slots * stride).fill(-1);
    for (const [rank, [left, right, merged]] of merges.entries()) {
      const at = this.#locate(left, right);
      this.#entries[at] = left;
      this.#entries[at + 1] = right;
      this.#entries[at + 2] = rank;
      this.#entries[at + 3] = merged;
    }
  }

  find(left: number, right: number): number {
    const at = this.#locate(left, right);
    return this.#entries[at] === -1 ? -1 : at;
  }

  rank(handle: number): number {
    return this.#entries[handle + 2]!;
  }

  merged(handle: number): number {
    return this.#entries[handle + 3]!;
  }

  #locate(left: number, right: number): number {
    let slot = hashPair(left, right) & this.#mask;
    for (;;) {
      const at = slot * stride;
      const found = this.#entries[at];
      if (found === -1 || (found === left && this.#entries[at + 1] === right)) return at;
      slot = (slot + 1) & this.#mask;
    }
  }
}

/** Spreads two small integers over 32 bits. */
export function hashPair(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

/**
 * Ids of the tokens that merges need and make.
 *
 * @throws {CheckpointError} naming `where` and the first merge of tokens that are not in the vocabulary.
 */
export function mergeIds(
  where: string,
  vocabulary: ReadonlyMap<string, number>,
  merges: readonly (readonly [left: string, right: string])[],
): [left: number, right: number, merged: number][] {
  return merges.map(([left, right], rank) => {
    const a = vocabulary.get(left);
    const b = vocabulary.get(right);
    const merged = vocabulary.get(left + right);
    if (a !== undefined && b !== undefined && merged !== undefined) return [a, b, merged];
    const missing = a === undefined ? left : b === undefined ? right : left + right;
    throw new CheckpointError(
      `${where}: merge ${rank + 1} (${JSON.stringify(left)} ${JSON.stringify(right)}) needs the token ` +
        `${JSON.stringify(missing)}, which the vocabulary does not have; vocabulary and merges do not belong together`,
    );
  });
}
