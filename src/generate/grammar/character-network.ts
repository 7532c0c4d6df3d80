import { SettingsError } from "../../core/errors.ts";
import type { CodePoints } from "./code-points.ts";
import { allCodePoints, codePoints, without } from "./code-points.ts";

/** States of one automaton, at most. */
const mostStates = 20_000;

/** A character of a set leads from one state to another. */
export interface CharacterEdge {
  readonly from: number;
  readonly set: CodePoints;
  readonly to: number;
}

/** A nondeterministic finite automaton over characters: strings from `start` to `end` are meant. */
export class CharacterNetwork {
  readonly edges: CharacterEdge[] = [];
  readonly free: (readonly [from: number, to: number])[] = [];
  readonly start: number;
  readonly end: number;
  #states = 0;

  constructor() {
    this.start = this.state();
    this.end = this.state();
  }

  get stateCount(): number {
    return this.#states;
  }

  /** A new state. @throws {SettingsError} when there are too many. */
  state(): number {
    if (this.#states >= mostStates) {
      throw new SettingsError(`has more than ${mostStates} states; repeat less often, or make lengths smaller`);
    }
    return this.#states++;
  }

  add(from: number, set: CodePoints, to: number): void {
    if (set.length > 0) this.edges.push({ from, set, to });
  }

  join(from: number, to: number): void {
    this.free.push([from, to]);
  }
}

/** Every string. */
export function anyString(): CharacterNetwork {
  const network = new CharacterNetwork();
  network.add(network.start, allCodePoints, network.start);
  network.join(network.start, network.end);
  return network;
}

/** Every string but these. */
export function anyStringBut(excluded: readonly string[]): CharacterNetwork {
  const network = new CharacterNetwork();
  const rest = network.state();
  network.add(rest, allCodePoints, rest);
  network.join(rest, network.end);
  const states = new Map([["", network.start]]);
  const following = new Map<string, Set<number>>();
  for (const word of excluded) {
    let prefix = "";
    for (const character of word) {
      followersOf(following, prefix).add(character.codePointAt(0) ?? 0);
      prefix += character;
      if (!states.has(prefix)) states.set(prefix, network.state());
    }
  }
  for (const [prefix, state] of states) {
    const next = [...(following.get(prefix) ?? [])];
    for (const point of next) {
      network.add(state, [[point, point]], states.get(prefix + String.fromCodePoint(point)) ?? rest);
    }
    const others = without(allCodePoints, codePoints(...next.map((point): [number, number] => [point, point])));
    network.add(state, others, rest);
    if (!excluded.includes(prefix)) network.join(state, network.end);
  }
  return network;
}

function followersOf(following: Map<string, Set<number>>, prefix: string): Set<number> {
  const known = following.get(prefix);
  if (known) return known;
  const made = new Set<number>();
  following.set(prefix, made);
  return made;
}

/** The strings of an automaton that have `least` to `most` characters (code points); null: any number. */
export function ofLength(network: CharacterNetwork, least: number, most: number | null): CharacterNetwork {
  if (least === 0 && most === null) return network;
  const bounded = new CharacterNetwork();
  const highest = most ?? least;
  const states = new Map<string, number>();
  const waiting: [state: number, count: number][] = [];
  const stateOf = (state: number, count: number): number => {
    const key = `${state}:${count}`;
    const known = states.get(key);
    if (known !== undefined) return known;
    const made = bounded.state();
    states.set(key, made);
    waiting.push([state, count]);
    return made;
  };
  const edges = groupedBy(network.edges);
  const free = groupedBy(network.free.map(([from, to]) => ({ from, to })));
  bounded.join(bounded.start, stateOf(network.start, 0));
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const [state, count] = next;
    const here = stateOf(state, count);
    if (state === network.end && count >= least) bounded.join(here, bounded.end);
    for (const { to } of free.get(state) ?? []) bounded.join(here, stateOf(to, count));
    if (count === most) continue;
    for (const { set, to } of edges.get(state) ?? []) bounded.add(here, set, stateOf(to, Math.min(count + 1, highest)));
  }
  return bounded;
}

function groupedBy<Edge extends { readonly from: number }>(edges: readonly Edge[]): Map<number, Edge[]> {
  const groups = new Map<number, Edge[]>();
  for (const edge of edges) {
    const group = groups.get(edge.from);
    if (group) group.push(edge);
    else groups.set(edge.from, [edge]);
  }
  return groups;
}
