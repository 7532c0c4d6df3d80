import type { ForwardOptions } from "../nn/attention.ts";
import type { Remembered } from "../nn/cross-attention.ts";
import type { KeyValueCache } from "../nn/key-value-cache.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** A text as the decoder looks at it. */
export interface EncodedText {
  /** Hidden states of the encoder, `[batch, time, width]`. */
  readonly hidden: Tensor;
  /** Tokens of each text that are not padding, `[batch]`; all without. */
  readonly lengths: Int32Array | null;
  /** Keys and values for each block of the decoder, where they were worked out already. */
  readonly remembered?: readonly Remembered[];
}

/** What a pass of the encoder or the decoder is told beside its tokens. */
export type PassOptions = Pick<ForwardOptions, "random" | "recompute"> & { readonly cache?: KeyValueCache | null };
