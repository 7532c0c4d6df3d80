import { ShapeError } from "../core/errors.ts";
import { apply } from "../tensor/op.ts";
import type { AttentionAttrs } from "../tensor/ops/attention.ts";
import { attention, selfAttention } from "../tensor/ops/attention.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import type { RotaryAngles } from "../tensor/ops/rotary.ts";
import { rotary } from "../tensor/ops/rotary.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ForwardOptions } from "./attention.ts";
import { Linear } from "./linear.ts";
import type { Initializer } from "./parameters.ts";
import { usedOnce } from "./used-once.ts";

/** Sizes and start of a {@link RotaryAttention}. */
export interface RotaryAttentionOptions {
  readonly width: number;
  readonly heads: number;
  /** Divides `heads`; each key-value head serves heads / keyValueHeads query heads. */
  readonly keyValueHeads: number;
  readonly headDim: number;
  /** Share of attention weights dropped in training. */
  readonly dropout: number;
  /** Of the initial weights. */
  readonly standardDeviation: number;
}

/**
 * Self-attention with rotary positions and grouped queries, without biases.
 *
 * @see Ainslie et al. (2023), "GQA: Training generalized multi-query Transformer models", arXiv:2305.13245.
 */
export class RotaryAttention {
  /** Queries, then keys, then values. */
  readonly qkv: Linear;
  readonly projection: Linear;
  readonly #options: RotaryAttentionOptions;

  constructor(options: RotaryAttentionOptions, init: Initializer) {
    const { width, heads, keyValueHeads, headDim, standardDeviation } = options;
    if (heads % keyValueHeads !== 0) {
      throw new ShapeError(`attention: ${keyValueHeads} key-value heads do not divide ${heads} heads`);
    }
    if (headDim % 2 !== 0) {
      throw new ShapeError(`attention: rotary positions need an even head size, got ${headDim}`);
    }
    const linear = { bias: false, standardDeviation };
    this.qkv = new Linear(width, (heads + 2 * keyValueHeads) * headDim, linear, init);
    this.projection = new Linear(heads * headDim, width, linear, init);
    this.#options = options;
  }

  /** x `[batch, time, width]` → the mixed values `[batch, time, heads · headDim]`, before {@link projection}. */
  mix(x: Tensor, mask: AttentionMask, angles: RotaryAngles, layer: number, options: ForwardOptions): Tensor {
    const { heads, keyValueHeads, headDim, dropout: rate } = this.#options;
    const { random, cache } = options;
    const packed = apply(rotary, [this.qkv.forward(x)], { ...angles, heads: heads + keyValueHeads });
    const attrs: AttentionAttrs = {
      heads,
      keyValueHeads,
      scale: 1 / Math.sqrt(headDim),
      mask,
      dropout: rate > 0 && random ? { rate, draw: random.draw() } : null,
    };
    if (!cache) return usedOnce(packed, (qkv) => apply(selfAttention, [qkv, null], attrs));
    const [keysAt, valuesAt] = [heads * headDim, (heads + keyValueHeads) * headDim];
    const all = cache.append(layer, packed.slice(-1, keysAt, valuesAt), packed.slice(-1, valuesAt, packed.axis(-1)));
    return usedOnce(
      usedOnce(packed, () => packed.slice(-1, 0, keysAt)),
      (query) => apply(attention, [query, all.key, all.value, null], attrs),
    );
  }
}
