import type { Draw } from "../core/random.ts";
import { Random } from "../core/random.ts";
import { permuted } from "./permutation.ts";

/**
 * Which of `count` items comes as number `index` since the beginning of training: every item once an epoch, in an order
 * drawn anew for each. A pure function, so that a run resumed anywhere sees what it would have seen.
 */
export function epochOrder(seed: number, count: number): (index: number) => number {
  const random = new Random(seed);
  let known = -1;
  let key: Draw["key"] = [0, 0];
  return (index) => {
    const epoch = Math.floor(index / count);
    if (epoch !== known) {
      known = epoch;
      key = random.child(epoch).draw().key;
    }
    return permuted(key, index % count, count);
  };
}
