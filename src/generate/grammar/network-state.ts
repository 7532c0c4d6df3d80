import { SettingsError } from "../../core/errors.ts";
import type { Network } from "./network.ts";

/** Where one is at a time, at most: ways in which what was read so far can be understood. */
const mostPlaces = 4096;
/** States and calls that are remembered; what comes afterwards is made again. */
const mostRemembered = 8192;

/** A rule under way: where one is once it ends. Those that call the same rule at the same byte share one. */
export interface Call {
  readonly id: number;
  readonly returns: readonly Place[];
}

/** A node within a rule that is under way. */
export interface Place {
  readonly node: number;
  readonly call: Call;
}

/** More than any network has nodes. */
const nodeBound = 2 ** 20;

/** The whole text: nothing comes behind it. */
export const wholeText: Call = { id: 0, returns: [] };
/** Stands for any call, where only what a rule itself reads is looked at. */
export const anyCall: Call = { id: 1, returns: [] };

/** All places where one can be after some bytes. */
export interface NetworkState {
  /** Nodes that bytes lead on from; none where nothing may follow. */
  readonly places: readonly Place[];
  /** Whether the text may end here. */
  readonly isComplete: boolean;
  /** Whether the rule that {@link anyCall} stands for may end here. */
  readonly isRuleEnd: boolean;
  /** States by the byte that leads there; null: none, undefined: not yet known. */
  readonly next: (NetworkState | null | undefined)[];
}

/**
 * Reads a text byte by byte along a network, in all ways at once. Rules under way are a stack whose entries are shared by
 * all ways that called them together, so that their number does not double with each ambiguity; states that are equal are
 * the same object, with the steps out of them remembered.
 *
 * @see Tomita (1987), "An efficient augmented-context-free parsing algorithm", Computational Linguistics 13, for the stack.
 */
export class NetworkReader {
  readonly network: Network;
  readonly #states = new Map<string, NetworkState>();
  readonly #calls = new Map<string, Call>();
  readonly #after = new WeakMap<Call, NetworkState>();
  #nextCall = 2;

  constructor(network: Network) {
    this.network = network;
  }

  /** Before the first byte. */
  start(): NetworkState {
    return this.arrive([{ node: this.network.start, call: wholeText }]);
  }

  /** Behind one more byte; null where it does not fit. */
  step(state: NetworkState, byte: number): NetworkState | null {
    const known = state.next[byte];
    if (known !== undefined) return known;
    const arrivals: Place[] = [];
    for (const { node, call } of state.places) {
      for (const { first, last, to } of this.network.bytesAt(node)) {
        if (first <= byte && byte <= last) arrivals.push({ node: to, call });
      }
    }
    const next = arrivals.length === 0 ? null : this.arrive(arrivals);
    state.next[byte] = next;
    return next;
  }

  /** Behind a call that ends. */
  after(call: Call): NetworkState {
    const known = this.#after.get(call);
    if (known) return known;
    const found = this.arrive(call.returns);
    this.#after.set(call, found);
    return found;
  }

  /** The state of a place alone, of which only the node's own bytes lead on. */
  alone(place: Place): NetworkState {
    return this.#remembered(new Places([place]), false, false);
  }

  /** The state of all that can be reached without a byte from some places. */
  arrive(arrivals: readonly Place[]): NetworkState {
    const { network } = this;
    const places = new Places();
    const pending = new Map<number, Places>();
    let [isComplete, isRuleEnd] = [false, false];
    const enter = ({ node, call }: Place): boolean => {
      const { readers, rules, isEnd } = network.reached(node);
      for (const reader of readers) places.add({ node: reader, call });
      for (const { rule, to } of rules) listOf(pending, rule).add({ node: to, call });
      return isEnd;
    };
    const arrived = new Places(arrivals);
    for (let i = 0; i < arrived.list.length; i++) {
      const place = arrived.list[i] as Place;
      if (!enter(place)) continue;
      isComplete ||= place.call === wholeText;
      isRuleEnd ||= place.call === anyCall;
      for (const back of place.call.returns) arrived.add(back);
    }
    // Rules come in an order in which all their callers are known before them.
    if (pending.size > 0) {
      for (const rule of network.order) {
        const callers = pending.get(rule);
        if (callers) enter({ node: network.startOf(rule), call: this.#callOf(callers) });
      }
    }
    return this.#remembered(places, isComplete, isRuleEnd);
  }

  #callOf(callers: Places): Call {
    const key = callers.key();
    const known = this.#calls.get(key);
    if (known) return known;
    if (this.#calls.size >= mostRemembered) this.#calls.clear();
    const call = { id: this.#nextCall++, returns: callers.list };
    this.#calls.set(key, call);
    return call;
  }

  #remembered(places: Places, isComplete: boolean, isRuleEnd: boolean): NetworkState {
    const key = `${places.key()}${isComplete ? "c" : ""}${isRuleEnd ? "r" : ""}`;
    const known = this.#states.get(key);
    if (known) return known;
    if (this.#states.size >= mostRemembered) this.#forget();
    const state = { places: places.list, isComplete, isRuleEnd, next: new Array(256).fill(undefined) };
    this.#states.set(key, state);
    return state;
  }

  /** States that are in use stay as they are, but no longer lead to others that nobody else holds. */
  #forget(): void {
    for (const state of this.#states.values()) state.next.fill(undefined);
    this.#states.clear();
  }
}

/** Places without repetition, in the order in which they came. */
class Places {
  readonly list: Place[] = [];
  readonly #seen = new Set<number>();

  constructor(places: readonly Place[] = []) {
    for (const place of places) this.add(place);
  }

  add(place: Place): void {
    const key = place.call.id * nodeBound + place.node;
    if (this.#seen.has(key)) return;
    if (this.list.length >= mostPlaces) {
      throw new SettingsError(
        `grammar: a text can be understood in more than ${mostPlaces} ways; make alternatives of anyOf differ earlier`,
      );
    }
    this.#seen.add(key);
    this.list.push(place);
  }

  key(): string {
    return [...this.#seen].sort((a, b) => a - b).join(" ");
  }
}

function listOf(lists: Map<number, Places>, key: number): Places {
  const known = lists.get(key);
  if (known) return known;
  const made = new Places();
  lists.set(key, made);
  return made;
}
