import { apply } from "../tensor/op.ts";
import type { AttentionAttrs } from "../tensor/ops/attention.ts";
import { attention, selfAttention } from "../tensor/ops/attention.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ForwardOptions } from "./attention.ts";
import { Linear } from "./linear.ts";
import type { Initializer } from "./parameters.ts";

/** Sizes of attention whose scores are not scaled, but start small instead. */
export interface BiasedAttentionOptions {
  readonly width: number;
  readonly heads: number;
  readonly headDim: number;
  /** Share of attention weights dropped in training. */
  readonly dropout: number;
  /** Multiplies all initial weights. */
  readonly initialScale: number;
}

/**
 * Self-attention as in T5: no biases of linear maps, scores not divided by √headDim, and a bias for each distance added
 * to them.
 *
 * @see Raffel et al. (2020), section 2.1, arXiv:1910.10683.
 */
export class BiasedAttention {
  /** Queries, then keys, then values. */
  readonly qkv: Linear;
  readonly projection: Linear;
  readonly #options: BiasedAttentionOptions;

  constructor(options: BiasedAttentionOptions, init: Initializer) {
    const { width, heads, headDim, initialScale } = options;
    const inner = heads * headDim;
    this.qkv = new Linear(width, 3 * inner, without(initialScale / Math.sqrt(width)), init);
    shrink(this.qkv.weight.window(0, [inner, width]), headDim);
    this.projection = new Linear(inner, width, without(initialScale / Math.sqrt(inner)), init);
    this.#options = options;
  }

  /** x `[batch, time, width]`, bias `[heads, time, keys]` → mixed values `[batch, time, inner]`, before the projection. */
  mix(x: Tensor, bias: Tensor, mask: AttentionMask, layer: number, { random, cache }: ForwardOptions): Tensor {
    const { heads, headDim, dropout } = this.#options;
    const packed = this.qkv.forward(x); // [batch, time, 3 · inner]
    const attrs = attributes(heads, mask, dropout, random);
    if (!cache) return apply(selfAttention, [packed, bias], attrs);
    const part = (i: number): Tensor => packed.slice(-1, i * heads * headDim, (i + 1) * heads * headDim);
    const all = cache.append(layer, part(1), part(2));
    return apply(attention, [part(0), all.key, all.value, bias], attrs);
  }
}

/** Keys and values of an encoded text in one layer, both `[batch, keys, inner]`. */
export interface Remembered {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** Attention of a decoder to what an encoder has made of another text; unscaled, and blind to positions. */
export class CrossAttention {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly projection: Linear;
  readonly #options: BiasedAttentionOptions;

  constructor(options: BiasedAttentionOptions, init: Initializer) {
    const { width, heads, headDim, initialScale } = options;
    const inner = heads * headDim;
    const inward = without(initialScale / Math.sqrt(width));
    this.query = new Linear(width, inner, inward, init);
    shrink(this.query.weight, headDim);
    this.key = new Linear(width, inner, inward, init);
    this.value = new Linear(width, inner, inward, init);
    this.projection = new Linear(inner, width, without(initialScale / Math.sqrt(inner)), init);
    this.#options = options;
  }

  /** What is read of a text `[batch, keys, width]`, the same for every query. */
  remember(text: Tensor): Remembered {
    return { key: this.key.forward(text), value: this.value.forward(text) };
  }

  /** x `[batch, time, width]` → mixed values `[batch, time, inner]`, before the projection. */
  mix(x: Tensor, text: Remembered, mask: AttentionMask, random: ForwardOptions["random"]): Tensor {
    const { heads, dropout } = this.#options;
    const attrs = attributes(heads, mask, dropout, random);
    return apply(attention, [this.query.forward(x), text.key, text.value, null], attrs);
  }
}

function without(standardDeviation: number): { bias: boolean; standardDeviation: number } {
  return { bias: false, standardDeviation };
}

/** Divides the initial weights of queries by √headDim, which scores would otherwise be divided by. */
function shrink(queries: Tensor, headDim: number): void {
  queries.backend.kernels.affine(queries, 1 / Math.sqrt(headDim), 0, queries);
}

function attributes(
  heads: number,
  mask: AttentionMask,
  rate: number,
  random: ForwardOptions["random"],
): AttentionAttrs {
  const dropout = rate > 0 && random ? { rate, draw: random.draw() } : null;
  return { heads, keyValueHeads: heads, scale: 1, mask, dropout };
}
