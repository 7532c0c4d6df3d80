import type { Call, NetworkReader, NetworkState } from "./network-state.ts";
import { anyCall, wholeText } from "./network-state.ts";
import type { TokenTrie } from "./token-trie.ts";

/** Masks of each kind that are remembered; beyond, all are made again. */
const mostMasks = 1024;

/** Masks that are found bit by bit at one time, at most; more than that were given up by whoever asked. */
const mostBegun = 64;
/** Nodes of the tree that are looked at before one that is in a hurry asks for the time: well below a millisecond. */
const nodesBetweenLooks = 512;

/** What may come at a node, whatever rules are under way around its own. */
interface OwnMask {
  /** Tokens of which the node's rule reads every byte. */
  readonly bits: Int32Array;
  /** Nodes of the tree at which the rule may end, with more below them: what is below is for the rules around it. */
  readonly ends: readonly number[];
}

/**
 * Finds the tokens that may come next: a walk over the tree of all tokens, which leaves out what is below a byte that does
 * not fit. Most tokens are read by one rule alone, such as the inside of a string; which those are is found once for each
 * node, and for each state only the few that go beyond the rule's end are looked at.
 *
 * @see Dong et al. (2024), "XGrammar", arXiv:2411.15100, section 3.1, for tokens that do not depend on the stack.
 */
export class TokenMasks {
  readonly #reader: NetworkReader;
  readonly #trie: TokenTrie;
  readonly #words: number;
  #own = new Map<number, OwnMask>();
  #masks = new Map<NetworkState, Int32Array>();
  /** Masks that were begun. */
  readonly #begun = new Map<NetworkState, Generator<void, Int32Array>>();

  /** @param rows - Length of the logits. */
  constructor(reader: NetworkReader, trie: TokenTrie, rows: number) {
    this.#reader = reader;
    this.#trie = trie;
    this.#words = Math.ceil(rows / 32);
  }

  /** Bit `token % 32` of entry `token >> 5` says whether a token may come. It is shared: not to be written to. */
  of(state: NetworkState): Int32Array {
    return this.find(state, Number.POSITIVE_INFINITY) as Int32Array;
  }

  /** {@link of}, or null where it is not found by a time of `performance.now`; what was done is gone on with at the next call. */
  find(state: NetworkState, until: number): Int32Array | null {
    const known = this.#masks.get(state);
    if (known) return known;
    const finding = this.#begun.get(state) ?? this.#find(state);
    this.#begun.delete(state);
    let found = finding.next();
    while (!found.done && performance.now() < until) found = finding.next();
    if (!found.done) {
      if (this.#begun.size >= mostBegun) this.#begun.clear();
      this.#begun.set(state, finding);
      return null;
    }
    if (this.#masks.size >= mostMasks) this.#masks = new Map();
    this.#masks.set(state, found.value);
    return found.value;
  }

  *#find(state: NetworkState): Generator<void, Int32Array> {
    const bits = new Int32Array(this.#words);
    for (const { node, call } of state.places) {
      const own = this.#own.get(node) ?? (yield* this.#findOwn(node));
      for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] ?? 0) | (own.bits[i] ?? 0);
      if (call !== wholeText) yield* this.#addBeyond(own.ends, call, bits);
    }
    return bits;
  }

  /** Tokens that begin with the end of a rule and go on behind it. */
  *#addBeyond(ends: readonly number[], call: Call, bits: Int32Array): Generator<void, void> {
    if (ends.length === 0) return;
    const after = this.#reader.after(call);
    for (const node of ends) yield* this.#walk(node + 1, this.#trie.ends[node] ?? 0, after, bits, null);
  }

  *#findOwn(node: number): Generator<void, OwnMask> {
    const [bits, ends] = [new Int32Array(this.#words), [] as number[]];
    yield* this.#walk(0, this.#trie.size, this.#reader.alone({ node, call: anyCall }), bits, ends);
    if (this.#own.size >= mostMasks) this.#own = new Map();
    this.#own.set(node, { bits, ends });
    return { bits, ends };
  }

  /** Goes through nodes `from` … `to` of the tree, whose parent is in `start`, and marks the tokens whose bytes fit. */
  *#walk(
    from: number,
    to: number,
    start: NetworkState,
    bits: Int32Array,
    ruleEnds: number[] | null,
  ): Generator<void, void> {
    const { bytes, depths, ends, starts, tokens } = this.#trie;
    const path: NetworkState[] = []; // states along the way, by depth
    path[(depths[from] ?? 1) - 1] = start;
    let looked = nodesBetweenLooks;
    for (let node = from; node < to; ) {
      if (--looked === 0) {
        looked = nodesBetweenLooks;
        yield;
      }
      const depth = depths[node] as number;
      const byte = bytes[node] as number;
      const state = path[depth - 1] as NetworkState;
      const known = state.next[byte];
      const next = known === undefined ? this.#reader.step(state, byte) : known;
      const end = ends[node] as number;
      if (next === null) {
        node = end;
        continue;
      }
      const last = starts[node + 1] as number;
      for (let i = starts[node] as number; i < last; i++) {
        const token = tokens[i] as number;
        bits[token >> 5] = (bits[token >> 5] as number) | (1 << (token & 31));
      }
      node++;
      if (node === end) continue;
      path[depth] = next;
      if (next.isRuleEnd) ruleEnds?.push(node - 1);
    }
  }
}
