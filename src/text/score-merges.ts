import { partitionPoint } from "../core/partition-point.ts";
import type { MergeOrder } from "./merge-table.ts";

/** A pair of tokens in a list of merges. */
type Merge = readonly [left: string, right: string];

/**
 * Scores from which ggml merges tokens: it joins the two neighbours whose token has the highest, the earlier a merge the
 * higher. Tokens that nothing merges into come after all.
 */
export function scoresOf(tokens: readonly string[], merges: readonly Merge[]): Float32Array {
  const ranks = new Map<string, number>();
  for (const [rank, [left, right]] of merges.entries()) {
    if (!ranks.has(left + right)) ranks.set(left + right, rank);
  }
  return Float32Array.from(tokens, (token) => -(ranks.get(token) ?? merges.length));
}

/**
 * Merges in the order that scores say: for each token every pair of tokens that makes it, by ids where scores are equal.
 * What they make of a text is what SentencePiece and ggml make of it.
 */
export function mergesOf(tokens: ReadonlyMap<string, number>, scores: ArrayLike<unknown>): Merge[] {
  const scoreOf = (id: number): number => Number(scores[id]);
  const order = [...tokens].sort(([, a], [, b]) => scoreOf(b) - scoreOf(a) || a - b);
  const idOf = (part: string): number => tokens.get(part) ?? 0;
  return order.flatMap(([token]) =>
    pairsMaking(token, (part) => tokens.has(part)).sort(([a, b], [c, d]) => idOf(a) - idOf(c) || idOf(b) - idOf(d)),
  );
}

/** Every pair of tokens that makes a token. */
function pairsMaking(token: string, isToken: (text: string) => boolean): Merge[] {
  const pairs: Merge[] = [];
  for (let cut = 1; cut < token.length; cut++) {
    const pair = [token.slice(0, cut), token.slice(cut)] as const;
    if (pair.every(isToken)) pairs.push(pair);
  }
  return pairs;
}

/**
 * Merges that follow from the scores of tokens: two neighbours merge where their texts together are a token, the token of
 * the highest score first. They are looked up as a text needs them: a vocabulary of 262,144 tokens has half a million.
 */
export class ScoredMerges implements MergeOrder {
  readonly #ids: ReadonlyMap<string, number>;
  /** By id; undefined where a token neither merges nor is merged. */
  readonly #texts: readonly (string | undefined)[];
  readonly #scores: Float32Array;
  /** All scores, highest first. */
  readonly #order: Float32Array;

  /**
   * @param scores - By id. Of tokens whose scores are equal, the one that a text has first is first.
   * @param merges - Whether a token merges and is merged.
   */
  constructor(ids: ReadonlyMap<string, number>, scores: Float32Array, merges: (id: number) => boolean) {
    const texts: string[] = [];
    for (const [text, id] of ids) if (merges(id)) texts[id] = text;
    this.#ids = ids;
    this.#texts = texts;
    this.#scores = scores;
    this.#order = scores.slice().sort().reverse();
  }

  /** Whether a merge makes a token with a space behind another character. */
  get joinsWords(): boolean {
    const merges = (text: string): boolean => this.#texts[this.#ids.get(text) ?? -1] !== undefined;
    return this.#texts.some((text) => {
      return text !== undefined && hasInnerSpace(text) && pairsMaking(text, merges).length > 0;
    });
  }

  /** All of them, as pairs in their order. */
  pairs(): Merge[] {
    const merging = [...this.#ids].filter(([, id]) => this.#texts[id] !== undefined);
    return mergesOf(new Map(merging), this.#scores);
  }

  find(left: number, right: number): number {
    const [a, b] = [this.#texts[left], this.#texts[right]];
    const merged = a === undefined || b === undefined ? undefined : this.#ids.get(a + b);
    return merged !== undefined && this.#texts[merged] !== undefined ? merged : -1;
  }

  rank(merged: number): number {
    const score = this.#scores[merged]!;
    return partitionPoint(this.#order.length, (place) => this.#order[place]! > score);
  }

  merged(merged: number): number {
    return merged;
  }
}

/** Whether a `▁` stands behind another character. */
export function hasInnerSpace(token: string): boolean {
  for (let at = token.lastIndexOf("▁"); at > 0; at--) if (token[at - 1] !== "▁") return true;
  return false;
}

/**
 * The parts of a `tokenizer.json` that say how spaces are written, with a space put before the text or not.
 *
 * @param first - Steps of the normalizer before that.
 */
export function spacesJson(
  addsSpace: boolean,
  first: readonly object[] = [],
): { normalizer: object; pre_tokenizer: null; decoder: object } {
  const mark = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const unmark = [
    { type: "Replace", pattern: { String: "▁" }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
  ];
  const steps = [...first, ...(addsSpace ? [{ type: "Prepend", prepend: "▁" }] : []), mark];
  return {
    normalizer: steps.length > 1 ? { type: "Sequence", normalizers: steps } : mark,
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: addsSpace ? [...unmark, { type: "Strip", content: " ", start: 1, stop: 0 }] : unmark,
    },
  };
}
