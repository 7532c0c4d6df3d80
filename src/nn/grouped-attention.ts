import { ShapeError } from "../core/errors.ts";
import { apply } from "../tensor/op.ts";
import type { AttentionAttrs } from "../tensor/ops/attention.ts";
import { selfAttention } from "../tensor/ops/attention.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import { attend } from "../tensor/ops/ragged-attention.ts";
import type { RotaryAngles } from "../tensor/ops/rotary.ts";
import { rotary } from "../tensor/ops/rotary.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ForwardOptions } from "./attention.ts";
import { Linear } from "./linear.ts";
import type { Norm, NormRule } from "./norm.ts";
import { createNorm } from "./norm.ts";
import type { Initializer } from "./parameters.ts";
import { usedOnce } from "./used-once.ts";

/** Sizes, rules and start of a {@link GroupedAttention}. */
export interface GroupedAttentionOptions {
  readonly width: number;
  readonly heads: number;
  /** Divides `heads`; each key-value head serves heads / keyValueHeads query heads. */
  readonly keyValueHeads: number;
  readonly headDim: number;
  /** Multiplies the scores. */
  readonly scale: number;
  /** Scores become cap · tanh(score / cap); null leaves them. */
  readonly cap: number | null;
  /** Norms of queries and keys before they turn: one for each head's vector, or one for all heads together. */
  readonly queryKeyNorm: { readonly over: "head" | "whole"; readonly rule: NormRule } | null;
  readonly bias: { readonly qkv: boolean; readonly projection: boolean };
  /** Share of attention weights dropped in training. */
  readonly dropout: number;
  /** Of the initial weights: of queries, keys and values, and of the projection. */
  readonly standardDeviations: readonly [inner: number, outer: number];
}

/** Where the tokens of a pass stand, and what they see. */
export interface AttentionPlaces {
  readonly mask: AttentionMask;
  /** Null for layers whose queries and keys do not turn. */
  readonly angles: RotaryAngles | null;
  /** `[heads]`: see `AttentionAttrs`. */
  readonly slopes: Tensor | null;
}

/**
 * Self-attention with grouped queries, whose positions are rotary, slopes of the scores, or the model's own.
 *
 * @see Ainslie et al. (2023), "GQA: Training generalized multi-query Transformer models", arXiv:2305.13245; norms of
 * queries and keys: Dehghani et al. (2023), section 2, arXiv:2302.05442.
 */
export class GroupedAttention {
  /** Queries, then keys, then values. */
  readonly qkv: Linear;
  readonly queryNorm: Norm | null;
  readonly keyNorm: Norm | null;
  readonly projection: Linear;
  readonly #options: GroupedAttentionOptions;

  constructor(options: GroupedAttentionOptions, init: Initializer) {
    const { width, heads, keyValueHeads, headDim, bias, queryKeyNorm: norm } = options;
    const [inner, outer] = options.standardDeviations;
    if (heads % keyValueHeads !== 0) {
      throw new ShapeError(`attention: ${keyValueHeads} key-value heads do not divide ${heads} heads`);
    }
    const packed = (heads + 2 * keyValueHeads) * headDim;
    const normed = (count: number): Norm | null =>
      norm && createNorm(norm.over === "head" ? headDim : count * headDim, norm.rule, init);
    this.qkv = new Linear(width, packed, { bias: bias.qkv, standardDeviation: inner }, init);
    this.queryNorm = normed(heads);
    this.keyNorm = normed(keyValueHeads);
    this.projection = new Linear(heads * headDim, width, { bias: bias.projection, standardDeviation: outer }, init);
    this.#options = options;
  }

  /** x `[batch, time, width]` → the mixed values `[batch, time, heads · headDim]`, before {@link projection}. */
  mix(x: Tensor, places: AttentionPlaces, layer: number, { random, cache }: ForwardOptions): Tensor {
    const { heads, keyValueHeads, scale, cap, dropout: rate } = this.#options;
    const attrs: AttentionAttrs = {
      ...{ heads, keyValueHeads, scale, cap, mask: places.mask, slopes: places.slopes },
      dropout: rate > 0 && random ? { rate, draw: random.draw() } : null,
    };
    const qkvOf = (): Tensor => this.qkv.forward(x, { random });
    if (this.queryNorm && this.keyNorm) {
      const [query, key, value] = this.#normed(this.queryNorm, this.keyNorm, qkvOf(), places.angles);
      const all = cache ? cache.append(layer, key, value) : { key, value };
      return usedOnce(query, (only) => attend(only, all, null, attrs));
    }
    const packed = places.angles
      ? usedOnce(qkvOf(), (qkv) => turned(qkv, heads + keyValueHeads, places.angles))
      : qkvOf(); // [batch, time, (heads + 2 · keyValueHeads) · headDim]
    if (!cache) return usedOnce(packed, (qkv) => apply(selfAttention, [qkv, null], attrs));
    const [query, key, value] = usedOnceByAll(packed, (qkv) => this.#parts(qkv));
    const all = cache.append(layer, key, value);
    return usedOnce(query, (only) => attend(only, all, null, attrs));
  }

  /** The parts of packed queries, keys and values, the first two normed and turned. */
  #normed(queryNorm: Norm, keyNorm: Norm, packed: Tensor, angles: RotaryAngles | null): [Tensor, Tensor, Tensor] {
    const { heads, keyValueHeads, headDim, queryKeyNorm } = this.#options;
    const [query, key, value] = usedOnceByAll(packed, (qkv) => this.#parts(qkv));
    const through = (norm: Norm, part: Tensor, count: number): Tensor => {
      const rows = queryKeyNorm?.over === "head" ? part.reshape([...part.shape.slice(0, -1), count, headDim]) : part;
      const normed = usedOnce(rows, (input) => norm.forward(input)).reshape(part.shape);
      return angles ? usedOnce(normed, (input) => turned(input, count, angles)) : normed;
    };
    return [through(queryNorm, query, heads), through(keyNorm, key, keyValueHeads), value];
  }

  #parts(qkv: Tensor): [Tensor, Tensor, Tensor] {
    const { heads, keyValueHeads, headDim } = this.#options;
    const [keysAt, valuesAt] = [heads * headDim, (heads + keyValueHeads) * headDim];
    return [qkv.slice(-1, 0, keysAt), qkv.slice(-1, keysAt, valuesAt), qkv.slice(-1, valuesAt, qkv.axis(-1))];
  }
}

function turned(x: Tensor, heads: number, angles: RotaryAngles | null): Tensor {
  return angles ? apply(rotary, [x], { ...angles, heads }) : x;
}

/** {@link usedOnce} for what several tensors are made of. */
function usedOnceByAll(x: Tensor, use: (x: Tensor) => [Tensor, Tensor, Tensor]): [Tensor, Tensor, Tensor] {
  const results = use(x);
  if (x.requiresGrad || results.some(({ requiresGrad }) => requiresGrad)) x.forget(...results);
  else if (results.every(({ storage }) => storage !== x.storage)) x.release();
  return results;
}
