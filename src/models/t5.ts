import { z } from "zod";
import { Random } from "../core/random.ts";
import type { ForwardOptions } from "../nn/attention.ts";
import type { BiasedAttentionOptions, Remembered } from "../nn/biased-attention.ts";
import { BiasedAttention, CrossAttention } from "../nn/biased-attention.ts";
import { dropOut } from "../nn/dropout.ts";
import { GatedMlp } from "../nn/gated-mlp.ts";
import { KeyValueCache } from "../nn/key-value-cache.ts";
import type { Linear } from "../nn/linear.ts";
import { Mlp } from "../nn/mlp.ts";
import type { Initializer, Parameter } from "../nn/parameters.ts";
import { RelativeBias } from "../nn/relative-bias.ts";
import { RmsNorm } from "../nn/rms-norm.ts";
import { usedOnce } from "../nn/used-once.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import { recomputed } from "../tensor/recompute.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { layerCount, size } from "./config-numbers.ts";
import type { TextModel } from "./language-model.ts";

/** Shape of a T5. */
export const T5Settings = z.object({
  vocabularySize: size,
  /** Longest text it is meant for; positions are relative, so the model itself has no limit. */
  context: size,
  width: size,
  layers: layerCount,
  decoderLayers: layerCount,
  heads: size,
  /** Width of one head; heads need not fill the width. */
  headDim: size,
  /** Width of the feed-forward layer. */
  hidden: size,
  activation: z.enum(["gelu", "geluTanh", "relu", "silu", "tanh"]).default("relu"),
  /** Whether hidden units are products of an activated gate and a value, as in version 1.1. */
  gated: z.boolean().default(false),
  dropout: z.number().min(0).lt(1).default(0),
  /** Buckets of distances, and the distance from which on all are alike. */
  buckets: size.default(32),
  maxDistance: size.default(128),
  normEpsilon: z.number().positive().default(1e-6),
  /** Whether the output layer is the token embedding, as in the first version. */
  tiedEmbeddings: z.boolean().default(true),
  /** Whether what the output layer reads is divided by √width; without it, where the output layer is the embedding. */
  scaledOutput: z.boolean().optional(),
  /** Multiplies all initial weights. */
  initialScale: z.number().positive().default(1),
  /** Ids: what fills sequences up, what the decoder starts from, what ends a text. */
  padding: z.int().nonnegative().default(0),
  decoderStart: z.int().nonnegative().default(0),
  endOfText: z.int().nonnegative().nullable().default(1),
});
export type T5Settings = z.infer<typeof T5Settings>;

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
export type T5Options = Pick<ForwardOptions, "random" | "recompute" | "cache">;

/**
 * Encoder-decoder: one stack reads a text in both directions, another writes one, looking at what the first made of it.
 * Norms stand at the input of each sub-layer; positions are known only by what their distance adds to attention scores.
 *
 * @see Raffel et al. (2020), "Exploring the limits of transfer learning with a unified text-to-text Transformer",
 * arXiv:1910.10683; version 1.1, with gates and an output layer of its own: Shazeer (2020), arXiv:2002.05202.
 */
export class T5 implements TextModel {
  readonly settings: T5Settings;
  /** `[vocabularySize, width]`, of both stacks. */
  readonly tokenEmbedding: Parameter;
  readonly encoder: T5Stack;
  readonly decoder: T5Stack;
  /** `[vocabularySize, width]`; null where the token embedding serves. */
  readonly head: Parameter | null;

  constructor(settings: T5Settings, init: Initializer) {
    const { vocabularySize, width, initialScale } = settings;
    this.settings = settings;
    this.tokenEmbedding = init.normal([vocabularySize, width], initialScale);
    this.encoder = new T5Stack(settings, false, init);
    this.decoder = new T5Stack(settings, true, init);
    this.head = settings.tiedEmbeddings ? null : init.normal([vocabularySize, width], initialScale);
  }

  get backend(): Tensor["backend"] {
    return this.tokenEmbedding.backend;
  }

  get outputWeight(): Parameter {
    return this.head ?? this.tokenEmbedding;
  }

  /** Token ids int32 `[batch, time]`, of which the first `lengths[b]` are no padding → hidden states. */
  encode(ids: Tensor, lengths: Int32Array | null, options: Omit<T5Options, "cache"> = {}): EncodedText {
    const mask = { causal: false, keyLengths: lengths ?? undefined };
    const hidden = this.encoder.forward(this.tokenEmbedding.gatherRows(ids), mask, null, options);
    return { hidden, lengths };
  }

  /** Works out what every pass of the decoder would need of a text again; for generation. */
  remember({ hidden, lengths }: EncodedText): EncodedText {
    const remembered = this.decoder.blocks.flatMap(({ cross }) => cross?.remember(hidden) ?? []);
    return { hidden, lengths, remembered };
  }

  /** Token ids int32 `[batch, time]` of the text so far → hidden states `[batch, time, width]`, scaled for {@link logits}. */
  decode(ids: Tensor, text: EncodedText, options: T5Options = {}): Tensor {
    const mask = options.cache?.mask() ?? { causal: true };
    const hidden = this.decoder.forward(this.tokenEmbedding.gatherRows(ids), mask, text, options);
    options.cache?.commit();
    const { tiedEmbeddings, scaledOutput = tiedEmbeddings, width } = this.settings;
    return scaledOutput ? hidden.mul(1 / Math.sqrt(width)) : hidden;
  }

  /** Hidden states `[…, width]` of the decoder → logits `[…, vocabularySize]`. */
  logits(hidden: Tensor): Tensor {
    return hidden.matmul(this.outputWeight, { transposeB: true });
  }

  /** Room for what the decoder has written; the sequences in it must all be of one length. */
  newCache(slots: number, capacity: number): KeyValueCache {
    const { decoderLayers, heads, headDim } = this.settings;
    return new KeyValueCache(this.backend, { layers: decoderLayers, slots, capacity, width: heads * headDim });
  }
}

/** The blocks of the encoder or of the decoder, with the distances that they share. */
export class T5Stack {
  readonly bias: RelativeBias;
  readonly blocks: readonly T5Block[];
  readonly finalNorm: RmsNorm;
  readonly #dropout: number;

  constructor(settings: T5Settings, isDecoder: boolean, init: Initializer) {
    const { width, heads, buckets, maxDistance, initialScale } = settings;
    const deviation = initialScale / Math.sqrt(width);
    const layers = isDecoder ? settings.decoderLayers : settings.layers;
    this.bias = new RelativeBias(heads, { buckets, maxDistance, bidirectional: !isDecoder }, deviation, init);
    this.blocks = Array.from({ length: layers }, (_, layer) => new T5Block(settings, isDecoder, layer, init));
    this.finalNorm = new RmsNorm(width, settings.normEpsilon, init);
    this.#dropout = settings.dropout;
  }

  /** x `[batch, time, width]` → same shape; a decoder is given the text that it looks at. */
  forward(embedded: Tensor, mask: AttentionMask, text: EncodedText | null, options: T5Options): Tensor {
    const { random = null, cache } = options;
    const start = cache?.lengths[0] ?? 0;
    const time = embedded.axis(1);
    const bias = this.bias.forward(start, time, cache?.shape.capacity ?? time); // [heads, time, keys]
    const x = throughStack(this.blocks, dropOut(embedded, this.#dropout, random), { bias, text, mask }, options);
    return dropOut(this.finalNorm.forward(x), this.#dropout, random);
  }
}

/** What all blocks of a stack are given beside the hidden states. */
interface Shared {
  readonly bias: Tensor;
  readonly text: EncodedText | null;
  readonly mask: AttentionMask;
}

/**
 * x through one block after another, each with a generator of its own. What the blocks share is an input of each, so
 * that its gradient arrives where a block is computed again.
 */
function throughStack(blocks: readonly T5Block[], x: Tensor, { bias, text, mask }: Shared, options: T5Options): Tensor {
  return blocks.reduce((input, block) => {
    const state = options.random?.split().state();
    const own = (): T5Options => ({ ...options, random: state ? Random.restore(state) : null });
    if (!options.recompute) return block.forward(input, bias, text, mask, own());
    if (!text) return recomputed((y, b) => block.forward(y, b, null, mask, own()), input, bias);
    const run = (y: Tensor, b: Tensor, hidden: Tensor): Tensor => block.forward(y, b, { ...text, hidden }, mask, own());
    return recomputed(run, input, bias, text.hidden);
  }, x);
}

/** One block: self-attention, in the decoder attention to the text, and a feed-forward layer; no biases anywhere. */
export class T5Block {
  readonly attentionNorm: RmsNorm;
  readonly attention: BiasedAttention;
  readonly crossNorm: RmsNorm | null;
  readonly cross: CrossAttention | null;
  readonly mlpNorm: RmsNorm;
  readonly mlp: Mlp | GatedMlp;
  readonly #dropout: number;
  readonly #layer: number;

  constructor(settings: T5Settings, isDecoder: boolean, layer: number, init: Initializer) {
    const { width, normEpsilon } = settings;
    const attention: BiasedAttentionOptions = settings;
    this.attentionNorm = new RmsNorm(width, normEpsilon, init);
    this.attention = new BiasedAttention(attention, init);
    this.crossNorm = isDecoder ? new RmsNorm(width, normEpsilon, init) : null;
    this.cross = isDecoder ? new CrossAttention(attention, init) : null;
    this.mlpNorm = new RmsNorm(width, normEpsilon, init);
    this.mlp = feedForward(settings, init);
    this.#dropout = settings.dropout;
    this.#layer = layer;
  }

  /** x `[batch, time, width]`, bias `[heads, time, keys]` → same shape as x. */
  forward(x: Tensor, bias: Tensor, text: EncodedText | null, mask: AttentionMask, options: T5Options): Tensor {
    const { random = null } = options;
    const mixed = usedOnce(this.attentionNorm.forward(x), (input) =>
      this.attention.mix(input, bias, mask, this.#layer, options),
    );
    let y = this.#add(x, mixed, this.attention.projection, options);
    if (text && this.cross && this.crossNorm) {
      const remembered = text.remembered?.[this.#layer] ?? this.cross.remember(text.hidden);
      const sees = { causal: false, keyLengths: text.lengths ?? undefined };
      const { cross } = this;
      const read = usedOnce(this.crossNorm.forward(y), (input) => cross.mix(input, remembered, sees, random));
      y = this.#add(y, read, this.cross.projection, options);
    }
    const expanded = usedOnce(this.mlpNorm.forward(y), (input) => this.mlp.expand(input));
    const kept = dropOut(expanded, this.#dropout, random);
    return usedOnce(kept, (inner) => this.#add(y, inner, this.mlp.projection, options));
  }

  /** x + dropout(projection(branch)), in one pass when nothing is dropped. */
  #add(x: Tensor, branch: Tensor, projection: Linear, { random = null }: T5Options): Tensor {
    if (this.#dropout === 0 || !random) return projection.forward(branch, { residual: x });
    return x.add(dropOut(projection.forward(branch), this.#dropout, random));
  }
}

function feedForward(settings: T5Settings, init: Initializer): Mlp | GatedMlp {
  const { width, hidden, gated, initialScale } = settings;
  const [inner, outer] = [initialScale / Math.sqrt(width), initialScale / Math.sqrt(hidden)];
  if (gated) return new GatedMlp({ ...settings, standardDeviations: [inner, outer] }, init);
  const plain = (standardDeviation: number) => ({ bias: false, standardDeviation });
  return new Mlp(settings, plain(inner), plain(outer), init);
}
