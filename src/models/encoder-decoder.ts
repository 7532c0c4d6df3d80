import type { Backend } from "../backend/kernels.ts";
import { dropOut } from "../nn/dropout.ts";
import { KeyValueCache } from "../nn/key-value-cache.ts";
import type { Norm } from "../nn/norm.ts";
import { createNorm } from "../nn/norm.ts";
import type { Initializer, Parameter } from "../nn/parameters.ts";
import { RelativeBias } from "../nn/relative-bias.ts";
import { sinePositions } from "../nn/sine-positions.ts";
import { forgetting } from "../tensor/forgetting.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import { Tensor } from "../tensor/tensor.ts";
import { checkPositions } from "./check-positions.ts";
import type { StackInputs } from "./encoder-decoder-block.ts";
import { EncoderDecoderBlock } from "./encoder-decoder-block.ts";
import type { EncoderDecoderSettings } from "./encoder-decoder-settings.ts";
import type { TextModel } from "./language-model.ts";
import type { EncodedText, PassOptions } from "./text-to-text-model.ts";

/**
 * Encoder-decoder: one stack reads a text in both directions, another writes one, looking at what the first made of it.
 * What differs between the original Transformer, BART, T5 and their kin are its settings.
 *
 * @see Vaswani et al. (2017), "Attention is all you need", arXiv:1706.03762; Raffel et al. (2020), "Exploring the limits
 * of transfer learning with a unified text-to-text Transformer", arXiv:1910.10683.
 */
export class EncoderDecoder implements TextModel {
  readonly settings: EncoderDecoderSettings;
  /** `[vocabularySize, width]`, of both stacks. */
  readonly tokenEmbedding: Parameter;
  readonly encoder: Stack;
  readonly decoder: Stack;
  /** `[vocabularySize, width]`; null where the token embedding serves. */
  readonly head: Parameter | null;
  /** `[vocabularySize]`, a constant; null where logits have none. */
  readonly outputBias: Parameter | null;

  constructor(settings: EncoderDecoderSettings, init: Initializer) {
    const { vocabularySize, width, deviations } = settings;
    this.settings = settings;
    this.tokenEmbedding = init.matrix([vocabularySize, width], deviations.embedding);
    this.encoder = new Stack(settings, false, init);
    this.decoder = new Stack(settings, true, init);
    this.head = settings.tiedEmbeddings ? null : init.matrix([vocabularySize, width], deviations.embedding);
    this.outputBias = settings.outputBias ? init.constant([vocabularySize], 0) : null;
    if (this.outputBias) this.outputBias.requiresGrad = false;
  }

  get backend(): Tensor["backend"] {
    return this.tokenEmbedding.backend;
  }

  get outputWeight(): Parameter {
    return this.head ?? this.tokenEmbedding;
  }

  /** Most tokens that it can write; null where positions have no end. */
  get longestTarget(): number | null {
    return this.settings.positions.kind === "relative" ? null : this.settings.context;
  }

  /** Token ids int32 `[batch, time]`, of which the first `lengths[b]` are no padding → hidden states. */
  encode(ids: Tensor, lengths: Int32Array | null, options: Omit<PassOptions, "cache"> = {}): EncodedText {
    const mask = { causal: false, keyLengths: lengths ?? undefined };
    return { hidden: this.encoder.forward(this.#embed(ids), mask, null, options), lengths };
  }

  /** Works out what every pass of the decoder would need of a text again; for generation. */
  remember({ hidden, lengths }: EncodedText): EncodedText {
    const remembered = this.decoder.blocks.flatMap(({ cross }) => cross?.remember(hidden) ?? []);
    return { hidden, lengths, remembered };
  }

  /** Token ids int32 `[batch, time]` of the text so far → hidden states `[batch, time, width]`, scaled for {@link logits}. */
  decode(ids: Tensor, text: EncodedText, options: PassOptions = {}): Tensor {
    const mask = options.cache?.mask() ?? { causal: true };
    const hidden = this.decoder.forward(this.#embed(ids), mask, text, options);
    options.cache?.commit();
    const { output } = this.settings.scales;
    return output === 1 ? hidden : hidden.mul(output);
  }

  /** Hidden states `[…, width]` of the decoder → logits `[…, vocabularySize]`. */
  logits(hidden: Tensor): Tensor {
    const product = hidden.matmul(this.outputWeight, { transposeB: true });
    return this.outputBias ? product.add(this.outputBias) : product;
  }

  /** Room for what the decoder has written; the sequences in it must all be of one length. */
  newCache(slots: number, capacity: number): KeyValueCache {
    const { decoderLayers, heads, headDim } = this.settings;
    return new KeyValueCache(this.backend, { layers: decoderLayers, slots, capacity, width: heads * headDim });
  }

  #embed(ids: Tensor): Tensor {
    const { embedding } = this.settings.scales;
    const tokens = this.tokenEmbedding.gatherRows(ids);
    return embedding === 1 ? tokens : tokens.mul(embedding);
  }
}

/** The blocks of the encoder or of the decoder, with what tells them where tokens stand. */
export class Stack {
  /** Where positions are distances. */
  readonly bias: RelativeBias | null;
  /** `[offset + context, width]`, where they are learned. */
  readonly positionEmbedding: Parameter | null;
  readonly embeddingNorm: Norm | null;
  readonly blocks: readonly EncoderDecoderBlock[];
  readonly finalNorm: Norm | null;
  readonly #settings: EncoderDecoderSettings;
  #sineTable: Tensor | null = null;

  constructor(settings: EncoderDecoderSettings, isDecoder: boolean, init: Initializer) {
    const { width, heads, context, positions, norm, deviations } = settings;
    const layers = isDecoder ? settings.decoderLayers : settings.layers;
    this.bias =
      positions.kind === "relative"
        ? new RelativeBias(heads, { ...positions, bidirectional: !isDecoder }, deviations.inward, init)
        : null;
    this.positionEmbedding =
      positions.kind === "learned" ? init.normal([positions.offset + context, width], deviations.embedding) : null;
    this.embeddingNorm = settings.embeddingNorm ? createNorm(width, norm, init) : null;
    this.blocks = Array.from(
      { length: layers },
      (_, layer) => new EncoderDecoderBlock(settings, isDecoder, layer, init),
    );
    this.finalNorm = settings.normsBefore ? createNorm(width, norm, init) : null;
    this.#settings = settings;
  }

  /** x `[batch, time, width]` → same shape; a decoder is given the text that it looks at. */
  forward(embedded: Tensor, mask: AttentionMask, text: EncodedText | null, options: PassOptions): Tensor {
    const { random = null, cache } = options;
    const { dropout } = this.#settings;
    const start = cache?.lengths[0] ?? 0;
    const time = embedded.axis(1);
    const renew = cache ? (): number => cache.lengths[0] ?? 0 : undefined;
    const bias = this.bias?.forward(start, time, cache?.shape.capacity ?? time, renew) ?? null; // [heads, time, keys]
    const placed = this.#placed(embedded, start, time, renew);
    const normed = this.embeddingNorm?.forward(placed) ?? placed;
    const inputs = { bias, text, mask };
    const x = throughStack(this.blocks, dropOut(normed, dropout.residual, random), inputs, options);
    return dropOut(this.finalNorm?.forward(x) ?? x, dropout.output, random);
  }

  /** Embeddings `[batch, time, width]` with those of their positions added. */
  #placed(embedded: Tensor, start: number, time: number, renew: (() => number) | undefined): Tensor {
    const { positions, context, width } = this.#settings;
    if (positions.kind === "relative") return embedded;
    checkPositions("encoder-decoder", context, start + time, null);
    const table = positions.kind === "sine" ? this.#sines(embedded.backend) : this.positionEmbedding;
    if (!table) return embedded;
    const offset = positions.kind === "sine" ? 0 : positions.offset;
    if (!renew) return embedded.add(table.slice(0, offset + start, offset + start + time));
    const rowsFrom = (first: number): Int32Array => Int32Array.from({ length: time }, (_, i) => offset + first + i);
    const rows = Tensor.given(embedded.backend, rowsFrom(start), [time], () => rowsFrom(renew()));
    return embedded.add(table.gatherRows(rows).reshape([time, width]));
  }

  /** All positions that are fixed waves, `[context, width]`. */
  #sines(backend: Backend): Tensor {
    const { context, width } = this.#settings;
    this.#sineTable ??= Tensor.from(backend, sinePositions(0, context, width), [context, width]).keep();
    return this.#sineTable;
  }
}

/** x through one block after another, each with a generator of its own. */
function throughStack(
  blocks: readonly EncoderDecoderBlock[],
  x: Tensor,
  inputs: StackInputs,
  options: PassOptions,
): Tensor {
  return blocks.reduce((input, block) => {
    const run = (): Tensor => block.forward(input, inputs, { ...options, random: options.random?.split() ?? null });
    return options.recompute ? forgetting(run) : run();
  }, x);
}
