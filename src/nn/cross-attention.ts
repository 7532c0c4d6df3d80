import { apply } from "../tensor/op.ts";
import { attention } from "../tensor/ops/attention.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ForwardOptions } from "./attention.ts";
import { headAttributes } from "./attention.ts";
import type { LinearOptions } from "./linear.ts";
import { Linear } from "./linear.ts";
import type { Initializer } from "./parameters.ts";

/** Sizes and start of a {@link CrossAttention}. */
export interface CrossAttentionOptions {
  readonly width: number;
  /** Of what keys and values are made of; the same as `width` when left out. */
  readonly textWidth?: number;
  readonly heads: number;
  /** Width of one head. */
  readonly headDim: number;
  /** Multiplies the scores. */
  readonly scale: number;
  /** Of queries, keys and values. */
  readonly qkv: LinearOptions;
  readonly projection: LinearOptions;
  /** Share of attention weights dropped in training. */
  readonly dropout: number;
}

/** Keys and values of an encoded text in one layer, both `[batch, keys, heads · headDim]`. */
export interface Remembered {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** Attention of a decoder to what an encoder has made of another text; blind to positions. */
export class CrossAttention {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly projection: Linear;
  readonly #options: CrossAttentionOptions;

  constructor(options: CrossAttentionOptions, init: Initializer) {
    const { width, textWidth = width, heads, headDim, qkv } = options;
    const inner = heads * headDim;
    this.query = new Linear(width, inner, qkv, init);
    this.key = new Linear(textWidth, inner, qkv, init);
    this.value = new Linear(textWidth, inner, qkv, init);
    this.projection = new Linear(inner, width, options.projection, init);
    this.#options = options;
  }

  /** What is read of a text `[batch, keys, textWidth]`, the same for every query. */
  remember(text: Tensor, random: ForwardOptions["random"] = null): Remembered {
    return { key: this.key.forward(text, { random }), value: this.value.forward(text, { random }) };
  }

  /** x `[batch, time, width]` → mixed values `[batch, time, heads · headDim]`, before {@link projection}. */
  mix(x: Tensor, text: Remembered, mask: AttentionMask, random: ForwardOptions["random"]): Tensor {
    const attrs = headAttributes(this.#options, mask, random);
    return apply(attention, [this.query.forward(x, { random }), text.key, text.value, null], attrs);
  }
}
