import type { AttentionRule } from "../fused-kernels.ts";
import { wordAt } from "./draws.ts";
import { logSumExp } from "./softmax.ts";
import { floats, integers } from "./storage.ts";

/** One query of one head of one sequence, and where its numbers begin in the dense arrays. */
export interface QueryPlace {
  readonly sequence: number;
  readonly index: number;
  /** In `[batch, heads, queries]`. */
  readonly row: number;
  /** In `[batch, heads, queries, headDim]`. */
  readonly query: number;
  /** First key and value of its head, in `[batch, keyValueHeads, keys, headDim]`. */
  readonly keys: number;
  /** In `[batch, queries, heads, headDim]`. */
  readonly out: number;
  /** In `[heads, queries, keys]`. */
  readonly bias: number;
}

/** Visits every query of every head, in order of `[batch, heads, queries]`. */
export function eachQuery(rule: AttentionRule, visit: (place: QueryPlace) => void): void {
  const { batch, heads, keyValueHeads, queries, keys, headDim } = rule;
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const group = Math.floor((h * keyValueHeads) / heads);
      for (let i = 0; i < queries; i++) {
        const row = (b * heads + h) * queries + i;
        visit({
          ...{ sequence: b, index: i, row },
          query: row * headDim,
          keys: (b * keyValueHeads + group) * keys * headDim,
          out: ((b * queries + i) * heads + h) * headDim,
          bias: (h * queries + i) * keys,
        });
      }
    }
  }
}

/** How much one query attends to each key. */
export interface QueryWeights {
  /** Softmax of its scores; 0 for keys it does not see. */
  readonly weights: Float64Array;
  /** What dropout multiplies each weight by: 0 or 1 / (1 − rate). */
  readonly kept: Float64Array;
  /** Derivative of each score by scale · q·k: below 1 where scores are capped. */
  readonly slopes: Float64Array;
  /** log Σ exp of the scores it sees; −∞ when there are none. */
  readonly logSumExp: number;
}

/** Computes the weights of one query after another, into the same memory. Query and key are dense heads. */
export function attentionWeights(
  rule: AttentionRule,
  query: Float64Array,
  key: Float64Array,
): (place: QueryPlace) => QueryWeights {
  const { keys, cap } = rule;
  const sees = visibility(rule);
  const [product, added, keep] = [scaledProduct(rule, query, key), addend(rule), keeper(rule)];
  const [scores, weights, kept, slopes] = [0, 1, 2, 3].map(() => new Float64Array(keys)) as FourRows;
  return (place) => {
    for (let j = 0; j < keys; j++) {
      const { score, slope } = sees(place, j) ? capped(product(place, j), cap) : unseen;
      scores[j] = score + added(place, j);
      slopes[j] = slope;
      kept[j] = keep(place, j);
    }
    const lse = logSumExp(scores, 0, keys);
    for (let j = 0; j < keys; j++) weights[j] = lse === Number.NEGATIVE_INFINITY ? 0 : Math.exp(scores[j]! - lse);
    return { weights, kept, slopes, logSumExp: lse };
  };
}

const unseen = { score: Number.NEGATIVE_INFINITY, slope: 0 };

/** cap · tanh(x / cap) and its derivative; x itself without a cap. */
function capped(x: number, cap: number | null): { score: number; slope: number } {
  if (cap === null) return { score: x, slope: 1 };
  const saturated = Math.tanh(x / cap);
  return { score: cap * saturated, slope: 1 - saturated ** 2 };
}

type FourRows = [Float64Array, Float64Array, Float64Array, Float64Array];

type OfPair<Value> = (place: QueryPlace, j: number) => Value;

/** scale · q·k of one query and key. */
function scaledProduct({ headDim, scale }: AttentionRule, query: Float64Array, key: Float64Array): OfPair<number> {
  return (place, j) => {
    const at = place.keys + j * headDim;
    let dot = 0;
    for (let d = 0; d < headDim; d++) dot += query[place.query + d]! * key[at + d]!;
    return dot * scale;
  };
}

/** What is added to the score of one query and key: bias + slope · (j − position of the query). */
function addend(rule: AttentionRule): OfPair<number> {
  const { bias, slopes, heads, queries } = rule;
  const [biases, ofHead] = [bias && floats(bias), slopes && floats(slopes)];
  const maskOf = maskReader(rule);
  return ({ sequence, index, row, bias: at }, j) => {
    const slope = ofHead?.[Math.floor(row / queries) % heads] ?? 0;
    return (biases?.[at + j] ?? 0) + slope * (j - maskOf(sequence, index).start - index);
  };
}

/** What dropout multiplies the weight of one query and key by. */
function keeper({ dropout, keys }: AttentionRule): OfPair<number> {
  if (!dropout) return () => 1;
  const { rate, draw } = dropout;
  return (place, j) => (wordAt(draw, place.row * keys + j) < rate * 2 ** 32 ? 0 : 1 / (1 - rate));
}

/** Whether a query sees key j, under all rules at once. */
function visibility(rule: AttentionRule): OfPair<boolean> {
  const maskOf = maskReader(rule);
  return ({ sequence, index }, j) => {
    const { start, prefix, end, first } = maskOf(sequence, index);
    return j < end && j >= first && (!rule.causal || j <= start + index || j < prefix);
  };
}

interface QueryMask {
  readonly start: number;
  readonly prefix: number;
  /** Keys of the sequence. */
  readonly end: number;
  readonly first: number;
}

/** Reads `rule.mask`. */
function maskReader({ mask, keys }: AttentionRule): (sequence: number, query: number) => QueryMask {
  if (!mask) return () => ({ start: 0, prefix: 0, end: keys, first: 0 });
  const [numbers, width] = [integers(mask), mask.shape[1]!];
  return (sequence, query) => {
    const at = sequence * width;
    return {
      ...{ start: numbers[at]!, prefix: numbers[at + 1]!, end: numbers[at + 2]! },
      first: width > 3 ? numbers[at + 3 + query]! : 0,
    };
  };
}
