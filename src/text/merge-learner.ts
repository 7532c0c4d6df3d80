import type { Steps } from "../core/event-loop.ts";
import { IntList } from "./int-list.ts";
import { PairIndex, PairQueue } from "./pair-index.ts";

/** End of a word in the lists of neighbours. */
const none = -1;

/**
 * Learns byte-pair merges: the most frequent pair of adjacent tokens first; among equally frequent pairs the one whose
 * left token has the lowest id, then whose right token has (the rule of Hugging Face's trainers). Pairs are merged in all
 * distinct words at once, and counts of pairs are kept up to date instead of being counted anew.
 *
 * @see Sennrich et al. (2016), algorithm 1, arXiv:1508.07909.
 */
export class MergeLearner {
  /** Every token and its id: those given, then merged ones in the order in which they were learnt. */
  readonly ids: Map<string, number>;
  /** Learnt pairs, in order. */
  readonly merges: [left: string, right: string][] = [];
  readonly #tokens: string[];
  readonly #join: (left: string, right: string) => string;
  readonly #pairs = new PairIndex();
  readonly #queue = new PairQueue(this.#pairs);
  /** Token id at each position of the words laid end to end, −1 inside a merged token. */
  readonly #symbols = new IntList(1 << 12);
  /** Position of the next and the previous token of the same word, or −1. */
  readonly #next = new IntList(1 << 12);
  readonly #previous = new IntList(1 << 12);
  /** The word that each position belongs to, and how often each word occurs. */
  readonly #wordOf = new IntList(1 << 12);
  readonly #wordCounts: number[] = [];

  /**
   * @param tokens - Tokens to begin with, in the order of their ids; none twice.
   * @param join - How the token is spelled that a pair merges to.
   */
  constructor(tokens: readonly string[], join: (left: string, right: string) => string) {
    this.#tokens = [...tokens];
    this.#join = join;
    this.ids = new Map(tokens.map((token, id) => [token, id]));
  }

  /** Adds a word that occurs `count` times, as the ids of the tokens it consists of. */
  addWord(symbols: ArrayLike<number>, count: number): void {
    const word = this.#wordCounts.push(count) - 1;
    const start = this.#symbols.length;
    for (let i = 0; i < symbols.length; i++) {
      const at = start + i;
      this.#symbols.push(symbols[i]!);
      this.#wordOf.push(word);
      this.#previous.push(i === 0 ? none : at - 1);
      this.#next.push(i + 1 === symbols.length ? none : at + 1);
      if (i > 0) this.#add(at - 1, at);
    }
  }

  /** Learns merges until there are `vocabularySize` tokens or no pair occurs `minFrequency` times. */
  *learning(vocabularySize: number, minFrequency: number): Steps<void> {
    for (let pair = 0; pair < this.#pairs.size; pair++) {
      this.#queue.push(pair);
      if (pair % 4096 === 0) yield;
    }
    while (this.ids.size < vocabularySize) {
      const pair = this.#queue.pop(minFrequency);
      if (pair < 0) return;
      this.#merge(pair);
      yield;
    }
  }

  #add(left: number, right: number): number {
    const weight = this.#wordCounts[this.#wordOf.at(left)]!;
    return this.#pairs.add(this.#symbols.at(left), this.#symbols.at(right), weight, left);
  }

  #remove(left: number, right: number): void {
    const weight = this.#wordCounts[this.#wordOf.at(left)]!;
    this.#pairs.remove(this.#symbols.at(left), this.#symbols.at(right), weight);
  }

  #merge(pair: number): void {
    const left = this.#pairs.left(pair);
    const right = this.#pairs.right(pair);
    const merged = this.#nameMerge(left, right);
    const risen = new Set<number>();
    for (const at of this.#pairs.takePositions(pair)) {
      const second = this.#symbols.at(at) === left ? this.#next.at(at) : none;
      if (second >= 0 && this.#symbols.at(second) === right) this.#mergeAt(at, second, merged, risen);
    }
    for (const changed of risen) this.#queue.push(changed);
  }

  #mergeAt(at: number, second: number, merged: number, risen: Set<number>): void {
    const before = this.#previous.at(at);
    const after = this.#next.at(second);
    this.#remove(at, second);
    if (before >= 0) this.#remove(before, at);
    if (after >= 0) this.#remove(second, after);
    this.#symbols.set(at, merged);
    this.#symbols.set(second, -1);
    this.#next.set(at, after);
    if (before >= 0) risen.add(this.#add(before, at));
    if (after >= 0) {
      this.#previous.set(after, at);
      risen.add(this.#add(at, after));
    }
  }

  /** Records the merge and returns its token's id; two merges can spell the same token. */
  #nameMerge(left: number, right: number): number {
    const parts: [string, string] = [this.#tokens[left]!, this.#tokens[right]!];
    this.merges.push(parts);
    const token = this.#join(...parts);
    const id = this.ids.get(token) ?? this.ids.size;
    this.ids.set(token, id);
    this.#tokens[id] = token;
    return id;
  }
}
