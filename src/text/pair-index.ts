import { IntList } from "./int-list.ts";
import { hashPair } from "./merge-table.ts";

/** End of a chain of occurrences. */
const none = -1;

/**
 * Adjacent pairs of token ids while merges are learnt: how often each occurs, and where. Pairs are numbered in the
 * order of their first appearance.
 */
export class PairIndex {
  readonly #left = new IntList(1 << 12);
  readonly #right = new IntList(1 << 12);
  #counts = new Float64Array(1 << 12);
  /** First link of each pair's chain of occurrences, newest first. */
  readonly #heads = new IntList(1 << 12);
  /** For each link its position, and the next link. */
  readonly #positions = new IntList(1 << 14);
  readonly #links = new IntList(1 << 14);
  /** Open addressing: a pair's number plus one, or 0. */
  #slots = new Int32Array(1 << 13);

  /** Number of distinct pairs ever seen. */
  get size(): number {
    return this.#left.length;
  }

  /** First id of a pair. */
  left(pair: number): number {
    return this.#left.at(pair);
  }

  /** Second id of a pair. */
  right(pair: number): number {
    return this.#right.at(pair);
  }

  /** How often a pair occurs now; exact up to 2⁵³. */
  count(pair: number): number {
    return this.#counts[pair]!;
  }

  /** Counts `weight` more occurrences, at `position`, and returns the pair. */
  add(left: number, right: number, weight: number, position: number): number {
    const pair = this.#number(left, right);
    this.#counts[pair]! += weight;
    this.#links.push(this.#heads.at(pair));
    this.#heads.set(pair, this.#positions.length);
    this.#positions.push(position);
    return pair;
  }

  /** Counts `weight` fewer occurrences. Their positions stay listed: whoever reads the list checks what is there. */
  remove(left: number, right: number, weight: number): void {
    this.#counts[this.#number(left, right)]! -= weight;
  }

  /** Takes the list of a pair's positions, in ascending order; out-of-date ones are among them. */
  takePositions(pair: number): Int32Array {
    const positions = new IntList();
    for (let link = this.#heads.at(pair); link !== none; link = this.#links.at(link)) {
      positions.push(this.#positions.at(link));
    }
    this.#heads.set(pair, none);
    return positions.toArray().sort();
  }

  #number(left: number, right: number): number {
    const mask = this.#slots.length - 1;
    let slot = hashPair(left, right) & mask;
    for (let entry = this.#slots[slot]!; entry !== 0; entry = this.#slots[slot]!) {
      if (this.#left.at(entry - 1) === left && this.#right.at(entry - 1) === right) return entry - 1;
      slot = (slot + 1) & mask;
    }
    const pair = this.size;
    this.#slots[slot] = pair + 1;
    this.#left.push(left);
    this.#right.push(right);
    this.#heads.push(none);
    if (this.size > this.#counts.length) {
      const counts = new Float64Array(this.#counts.length * 2);
      counts.set(this.#counts);
      this.#counts = counts;
    }
    if (this.size * 2 > this.#slots.length) this.#rehash();
    return pair;
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let pair = 0; pair < this.size; pair++) {
      let slot = hashPair(this.left(pair), this.right(pair)) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = pair + 1;
    }
    this.#slots = slots;
  }
}

/**
 * Pairs by how often they occur, most frequent first, ties by the lower left and then the lower right id. Counts may
 * fall while a pair is queued; one that rises must be queued again.
 */
export class PairQueue {
  readonly #index: PairIndex;
  readonly #pairs: number[] = [];
  /** Count of each queued pair when it was queued. */
  readonly #counts: number[] = [];

  constructor(index: PairIndex) {
    this.#index = index;
  }

  /** Queues a pair at its present count. */
  push(pair: number): void {
    const count = this.#index.count(pair);
    let at = this.#pairs.length;
    this.#place(at, pair, count);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#precedes(pair, count, parent)) break;
      this.#place(at, this.#pairs[parent]!, this.#counts[parent]!);
      at = parent;
    }
    this.#place(at, pair, count);
  }

  /** Takes out the first pair that occurs at least `minCount` times, or returns −1. */
  pop(minCount: number): number {
    while (this.#pairs.length > 0) {
      const pair = this.#pairs[0]!;
      const queued = this.#counts[0]!;
      const present = this.#index.count(pair);
      this.#removeFirst();
      if (present === queued) return present >= minCount ? pair : -1;
      if (present >= minCount) this.push(pair);
    }
    return -1;
  }

  #removeFirst(): void {
    const pair = this.#pairs.pop()!;
    const count = this.#counts.pop()!;
    const size = this.#pairs.length;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#precedes(this.#pairs[child + 1]!, this.#counts[child + 1]!, child)) child += 1;
      if (this.#precedes(pair, count, child)) break;
      this.#place(at, this.#pairs[child]!, this.#counts[child]!);
      at = child;
    }
    this.#place(at, pair, count);
  }

  #place(at: number, pair: number, count: number): void {
    this.#pairs[at] = pair;
    this.#counts[at] = count;
  }

  #precedes(pair: number, count: number, entry: number): boolean {
    const other = this.#pairs[entry]!;
    const difference = count - this.#counts[entry]!;
    if (difference !== 0) return difference > 0;
    const left = this.#index.left(pair) - this.#index.left(other);
    return left !== 0 ? left < 0 : this.#index.right(pair) < this.#index.right(other);
  }
}
