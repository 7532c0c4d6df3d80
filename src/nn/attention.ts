import type { Random } from "../core/random.ts";
import { apply } from "../tensor/op.ts";
import type { AttentionAttrs } from "../tensor/ops/attention.ts";
import { selfAttention } from "../tensor/ops/attention.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import { attend } from "../tensor/ops/ragged-attention.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { KeyValueCache } from "./key-value-cache.ts";
import type { LinearOptions } from "./linear.ts";
import { Linear } from "./linear.ts";
import type { Initializer } from "./parameters.ts";
import { usedOnce } from "./used-once.ts";

/** What a forward pass is told beside its tokens. */
export interface ForwardOptions {
  /** Source of dropout; null (the default) is inference. */
  readonly random?: Random | null;
  /** Keeps only the input of each block for the gradient and computes the rest again: less memory, a quarter more time. */
  readonly recompute?: boolean;
  /** Which keys each query sees; the model's own rule without. */
  readonly mask?: AttentionMask;
  /** Keys and values of earlier positions; the pass adds its own. */
  readonly cache?: KeyValueCache | null;
  /** Position of each token, `[batch · time]`; 0, 1, 2, … in each sequence without. */
  readonly positions?: Int32Array;
  /** `[batch, time, width]`, read instead of the embeddings of the ids. */
  readonly embedded?: Tensor;
  /** Is shown what each block or layer gives, `[batch, time, width]`, in their order; what it wants to have later it keeps. */
  readonly afterBlock?: ((states: Tensor) => void) | undefined;
}

/** Sizes and start of a {@link SelfAttention}. */
export interface SelfAttentionOptions {
  readonly width: number;
  readonly heads: number;
  /** Width of one head; heads that together fill the width when left out. */
  readonly headDim?: number;
  /** Multiplies the scores; 1/√headDim when left out. */
  readonly scale?: number;
  readonly qkv: LinearOptions;
  readonly projection: LinearOptions;
  /** Share of attention weights dropped in training. */
  readonly dropout: number;
}

/** Multi-head self-attention with one packed projection for queries, keys and values, and one for the result. */
export class SelfAttention {
  readonly qkv: Linear;
  readonly projection: Linear;
  readonly #options: SelfAttentionOptions;

  constructor(options: SelfAttentionOptions, init: Initializer) {
    const inner = options.heads * headDimOf(options);
    this.qkv = new Linear(options.width, 3 * inner, options.qkv, init);
    this.projection = new Linear(inner, options.width, options.projection, init);
    this.#options = options;
  }

  /**
   * x `[batch, time, width]` → the mixed values `[batch, time, heads · headDim]`, before {@link projection}.
   *
   * @param bias - `[heads, time, keys]`, added to the scores.
   */
  mix(x: Tensor, mask: AttentionMask, layer: number, options: ForwardOptions, bias: Tensor | null = null): Tensor {
    const { heads } = this.#options;
    const { random, cache } = options;
    const inner = heads * headDimOf(this.#options);
    const packed = this.qkv.forward(x, { random }); // [batch, time, 3 · inner]
    const attrs = headAttributes(this.#options, mask, random);
    if (!cache) return usedOnce(packed, (qkv) => apply(selfAttention, [qkv, bias], attrs));
    const part = (i: number): Tensor => packed.slice(-1, i * inner, (i + 1) * inner);
    const all = cache.append(layer, part(1), part(2));
    return usedOnce(
      usedOnce(packed, () => part(0)),
      (query) => attend(query, all, bias, attrs),
    );
  }
}

/** What attention with as many heads of keys and values as of queries is told. */
export function headAttributes(
  options: Pick<SelfAttentionOptions, "width" | "heads" | "headDim" | "scale" | "dropout">,
  mask: AttentionMask,
  random: ForwardOptions["random"],
): AttentionAttrs {
  const { heads, scale = 1 / Math.sqrt(headDimOf(options)), dropout: rate } = options;
  const dropout = rate > 0 && random ? { rate, draw: random.draw() } : null;
  return { heads, keyValueHeads: heads, scale, mask, dropout };
}

function headDimOf({
  width,
  heads,
  headDim = width / heads,
}: Pick<SelfAttentionOptions, "width" | "heads" | "headDim">) {
  return headDim;
}
