import type { MergeOrder } from "./merge-table.ts";

/** Up to this length scanning for the best pair is faster than keeping a heap of pairs. */
const longestScanned = 96;

const noMerge = 0x7fffffff;
const ranks = new Int32Array(longestScanned);

/**
 * Applies byte-pair merges to the ids of one word, in place: again and again the adjacent pair of the lowest rank, the
 * leftmost one first, until no pair has a merge. Returns how many ids are left. Time: quadratic up to a small length,
 * n log n beyond.
 *
 * @see Sennrich et al. (2016), algorithm 1, arXiv:1508.07909.
 */
export function mergeWord(ids: Int32Array, length: number, merges: MergeOrder): number {
  return length <= longestScanned ? mergeShort(ids, length, merges) : mergeLong(ids, length, merges);
}

function mergeShort(ids: Int32Array, length: number, merges: MergeOrder): number {
  let count = length;
  for (let i = 0; i + 1 < count; i++) ranks[i] = rankOf(ids[i]!, ids[i + 1]!, merges);
  for (;;) {
    let best = -1;
    let lowest = noMerge;
    for (let i = 0; i + 1 < count; i++) {
      if (ranks[i]! < lowest) {
        lowest = ranks[i]!;
        best = i;
      }
    }
    if (best < 0) return count;
    ids[best] = merges.merged(merges.find(ids[best]!, ids[best + 1]!));
    count -= 1;
    for (let i = best + 1; i < count; i++) {
      ids[i] = ids[i + 1]!;
      ranks[i] = ranks[i + 1]!;
    }
    if (best > 0) ranks[best - 1] = rankOf(ids[best - 1]!, ids[best]!, merges);
    if (best + 1 < count) ranks[best] = rankOf(ids[best]!, ids[best + 1]!, merges);
  }
}

function rankOf(left: number, right: number, merges: MergeOrder): number {
  const handle = merges.find(left, right);
  return handle < 0 ? noMerge : merges.rank(handle);
}

function mergeLong(ids: Int32Array, length: number, merges: MergeOrder): number {
  const next = Int32Array.from({ length }, (_, i) => (i + 1 < length ? i + 1 : -1));
  const previous = Int32Array.from({ length }, (_, i) => i - 1);
  const queue = new KeyHeap(length);
  const consider = (at: number): void => {
    const handle = merges.find(ids[at]!, ids[next[at]!]!);
    if (handle >= 0) queue.push(merges.rank(handle) * 2 ** 32 + at);
  };
  for (let at = 0; at + 1 < length; at++) consider(at);
  for (let key = queue.pop(); key >= 0; key = queue.pop()) {
    const at = key % 2 ** 32;
    const right = next[at]!;
    // Keys of pairs that have changed since stay in the queue: they are out of date if the rank differs.
    if (ids[at] === -1 || right < 0) continue;
    const handle = merges.find(ids[at]!, ids[right]!);
    if (handle < 0 || merges.rank(handle) !== Math.floor(key / 2 ** 32)) continue;
    ids[at] = merges.merged(handle);
    ids[right] = -1;
    const after = next[right]!;
    next[at] = after;
    if (after >= 0) {
      previous[after] = at;
      consider(at);
    }
    if (previous[at]! >= 0) consider(previous[at]!);
  }
  return compact(ids, length);
}

function compact(ids: Int32Array, length: number): number {
  let count = 0;
  for (let i = 0; i < length; i++) if (ids[i] !== -1) ids[count++] = ids[i]!;
  return count;
}

/** A binary heap of non-negative numbers, lowest first. */
class KeyHeap {
  #keys: Float64Array;
  #size = 0;

  constructor(capacity: number) {
    this.#keys = new Float64Array(Math.max(16, capacity));
  }

  push(key: number): void {
    if (this.#size === this.#keys.length) {
      const larger = new Float64Array(this.#size * 2);
      larger.set(this.#keys);
      this.#keys = larger;
    }
    const keys = this.#keys;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[at] = keys[parent]!;
      at = parent;
    }
    keys[at] = key;
  }

  /** Takes the lowest key out, or −1. */
  pop(): number {
    if (this.#size === 0) return -1;
    const keys = this.#keys;
    const lowest = keys[0]!;
    const key = keys[--this.#size]!;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && keys[child + 1]! < keys[child]!) child += 1;
      if (keys[child]! >= key) break;
      keys[at] = keys[child]!;
      at = child;
    }
    keys[at] = key;
    return lowest;
  }
}
