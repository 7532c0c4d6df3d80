import type { Draw } from "../core/random.ts";
import { philox } from "../core/random.ts";

/** Enough for a Feistel network with a good round function to be indistinguishable from random in use. */
const rounds = 6;

/** Marks these counters among all uses of a key. */
const domain = 0x7065726d;

/**
 * The element at `index` of a pseudo-random order of 0 … count − 1, found without making the order: every index gives
 * another element, and a key gives one order.
 *
 * A Feistel network over pairs (l, r), l < a, r < b, a·b ≥ count: l ← l + F(r) mod a, then r ← r + F(l) mod b, with
 * Philox as F; a result that is not below count goes through the network again until it is.
 *
 * `count` is at most 2⁵². Costs 6 Philox blocks, a little more for counts that are no product of near squares.
 *
 * @see Black and Rogaway (2002), "Ciphers with arbitrary finite domains", sections 4 and 5.
 */
export function permuted(key: Draw["key"], index: number, count: number): number {
  const a = Math.ceil(Math.sqrt(count));
  const b = Math.ceil(count / a);
  let value = index;
  do {
    let left = Math.floor(value / b);
    let right = value % b;
    for (let round = 0; round < rounds; round += 2) {
      left = (left + word(key, right, round)) % a;
      right = (right + word(key, left, round + 1)) % b;
    }
    value = left * b + right;
  } while (value >= count);
  return value;
}

const block = new Uint32Array(4);

/** 32 pseudo-random bits; `value` is below 2³². */
function word(key: Draw["key"], value: number, round: number): number {
  philox([value, round, 0, domain], key, block);
  return block[0]!;
}
