import type { CharacterNetwork } from "./character-network.ts";
import type { CodePoints } from "./code-points.ts";
import { allCodePoints, codePoints, holds, utf8Ranges, without } from "./code-points.ts";
import type { Network } from "./network.ts";

/** Characters that JSON strings hold only as escapes. */
const escaped = codePoints([0, 0x1f], [0x22, 0x22], [0x5c, 0x5c]);

/** Short escapes by the character they stand for. */
const shortEscapes: ReadonlyMap<number, string> = new Map([
  [0x22, '"'],
  [0x5c, "\\"],
  [0x2f, "/"],
  [0x08, "b"],
  [0x0c, "f"],
  [0x0a, "n"],
  [0x0d, "r"],
  [0x09, "t"],
]);

/** Writes strings of automata as JSON does. One for each network: what equal sets share is made once. */
export class JsonStrings {
  readonly #network: Network;
  readonly #rules = new Map<string, number>();

  constructor(network: Network) {
    this.#network = network;
  }

  /**
   * Edges for a string in its quotes. Characters stand for themselves where JSON lets them; with `anyEscape`, each may
   * also be written as `\u` with four digits, or two of these.
   */
  quoted(strings: CharacterNetwork, from: number, to: number, anyEscape: boolean): void {
    const network = this.#network;
    const states = Array.from({ length: strings.stateCount }, () => network.node());
    const at = (state: number): number => states[state] ?? 0;
    network.byte(from, 0x22, 0x22, at(strings.start));
    network.byte(at(strings.end), 0x22, 0x22, to);
    for (const [free, behind] of strings.free) network.free(at(free), at(behind));
    for (const edge of strings.edges) {
      const isLoop = edge.from === edge.to;
      if (isLoop || isPlain(edge.set)) this.#characters(edge.set, at(edge.from), at(edge.to), anyEscape);
      else network.call(at(edge.from), this.#ruleOf(edge.set, anyEscape), at(edge.to));
    }
  }

  /** The rule for one character of a set. */
  #ruleOf(set: CodePoints, anyEscape: boolean): number {
    const key = `${anyEscape}${set.join(" ")}`;
    const known = this.#rules.get(key);
    if (known !== undefined) return known;
    const { index, start, end } = this.#network.rule();
    this.#rules.set(key, index);
    this.#characters(set, start, end, anyEscape);
    return index;
  }

  #characters(set: CodePoints, from: number, to: number, anyEscape: boolean): void {
    addUtf8(this.#network, without(set, escaped), from, to);
    const isAll = anyEscape && without(allCodePoints, set).length === 0;
    const short = [...shortEscapes].filter(([point]) => holds(set, point));
    const controls = Array.from({ length: 0x20 }, (_, point) => point).filter((point) => holds(set, point));
    if (short.length + controls.length === 0) return;
    const backslash = this.#network.node();
    this.#network.byte(from, 0x5c, 0x5c, backslash);
    for (const [, letter] of short) this.#network.byte(backslash, letter.charCodeAt(0), letter.charCodeAt(0), to);
    if (isAll) this.#anyUnit(backslash, to);
    else this.#controls(controls, backslash, to);
  }

  /** `u001f` and the like, for controls without a shorter escape. */
  #controls(points: readonly number[], from: number, to: number): void {
    const network = this.#network;
    for (const point of points) {
      if (shortEscapes.has(point)) continue;
      const digits = point.toString(16).padStart(4, "0");
      const last = network.text(from, `u${digits.slice(0, -1)}`);
      for (const digit of new Set([digits.slice(-1), digits.slice(-1).toUpperCase()])) {
        network.byte(last, digit.charCodeAt(0), digit.charCodeAt(0), to);
      }
    }
  }

  /** `u` with four digits of a character, or of the two halves of one. */
  #anyUnit(from: number, to: number): void {
    const network = this.#network;
    const [u, d, one, two, three] = [0, 0, 0, 0, 0].map(() => network.node()) as [
      number,
      number,
      number,
      number,
      number,
    ];
    network.byte(from, 0x75, 0x75, u);
    hex(network, u, "0123456789abcefABCEF", three);
    hex(network, u, "dD", d);
    hex(network, d, "01234567", two);
    hex(network, three, anyDigit, two);
    hex(network, two, anyDigit, one);
    hex(network, one, anyDigit, to);
    const halves = [0, 0, 0, 0, 0, 0, 0].map(() => network.node()) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    hex(network, d, "89abAB", halves[0]);
    hex(network, halves[0], anyDigit, halves[1]);
    hex(network, halves[1], anyDigit, halves[2]);
    const second = network.text(halves[2], "\\u");
    hex(network, second, "dD", halves[3]);
    hex(network, halves[3], "cdefCDEF", halves[4]);
    hex(network, halves[4], anyDigit, halves[5]);
    hex(network, halves[5], anyDigit, to);
  }
}

const anyDigit = "0123456789abcdefABCDEF";

function hex(network: Network, from: number, digits: string, to: number): void {
  for (const digit of digits) network.byte(from, digit.charCodeAt(0), digit.charCodeAt(0), to);
}

/** Whether each character of a set is one byte, and none needs an escape. */
function isPlain(set: CodePoints): boolean {
  return set.every(([first, last]) => last < 0x80 && first >= 0x20) && !escapable.some((point) => holds(set, point));
}

const escapable: readonly number[] = [...shortEscapes.keys()];

/** Edges for one character of a set in UTF-8. */
export function addUtf8(network: Network, set: CodePoints, from: number, to: number): void {
  const tails = new Map<string, number>();
  const nodeBefore = (tail: readonly (readonly [number, number])[]): number => {
    const [next, ...rest] = tail;
    if (!next) return to;
    const key = tail.join(" ");
    const known = tails.get(key);
    if (known !== undefined) return known;
    const node = network.node();
    tails.set(key, node);
    network.byte(node, next[0], next[1], nodeBefore(rest));
    return node;
  };
  for (const [head, ...tail] of utf8Ranges(set)) if (head) network.byte(from, head[0], head[1], nodeBefore(tail));
}
