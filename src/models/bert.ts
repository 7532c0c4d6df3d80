import { z } from "zod";
import type { Activation } from "../backend/functions.ts";
import { ShapeError, UnsupportedError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import type { ForwardOptions } from "../nn/attention.ts";
import { throughBlocks } from "../nn/block-stack.ts";
import { dropOut } from "../nn/dropout.ts";
import { Linear } from "../nn/linear.ts";
import type { Norm } from "../nn/norm.ts";
import { createNorm, LayerNorm } from "../nn/norm.ts";
import type { Initializer, Parameter } from "../nn/parameters.ts";
import { Tensor } from "../tensor/tensor.ts";
import { ActivationKind } from "./activation-names.ts";
import { checkPositions } from "./check-positions.ts";
import { layerCount, rate, size } from "./config-numbers.ts";
import { DecoderBlock } from "./decoder-block.ts";
import { EncoderPlaces, turningBlock } from "./encoder-places.ts";
import { Block } from "./gpt.ts";
import type { TextModel } from "./language-model.ts";
import { poolStates } from "./pool-states.ts";

/** Shape of a BERT, or of an encoder that differs from it by these properties. */
export const BertSettings = z.object({
  vocabularySize: size,
  /** Positions, and so the longest sequence. */
  context: size,
  /**
   * How far each layer's tokens see to both sides (null: everywhere), and the base by which queries and keys turn by
   * position, in place of learned positions. Such a model's blocks are a decoder's without biases, norms before.
   */
  turning: z
    .array(z.object({ reach: size.nullable(), base: z.number().positive() }))
    .nullable()
    .default(null),
  /** Rows of the table of positions before the first one that is used: RoBERTa has them for padding. */
  positionOffset: z.int().nonnegative().default(0),
  /** Kinds of segments: 2, the first and the second sentence; 0 where they are not told apart. */
  segments: z.int().nonnegative().default(2),
  width: size,
  /** Width of the embeddings, from which a layer leads to `width`; null: `width`, without that layer. */
  embeddingWidth: size.nullable().default(null),
  layers: layerCount,
  heads: size,
  /** Width of the feed-forward layer. */
  hidden: size,
  activation: ActivationKind.default("gelu"),
  /** Of the head that names words; null: `activation`. */
  wordActivation: ActivationKind.nullable().default(null),
  /** Of the layer over the first token's state. */
  poolerActivation: ActivationKind.default("tanh"),
  /** What the layer over a text reads: its first token's state, or the mean of all. */
  summary: z.enum(["cls", "mean"]).default("cls"),
  /** Whether that layer, with a norm behind it, is also the one beneath the words: there is one head for all. */
  sharesHead: z.boolean().default(false),
  /** Whether there is a head that tells whether the second segment follows the first. */
  nextSentence: z.boolean().default(true),
  /** Of embeddings and of what each sub-layer adds. */
  dropout: rate.default(0),
  attentionDropout: rate.default(0),
  /** Of the pooled state that a classifier reads. */
  classifierDropout: rate.default(0),
  normEpsilon: z.number().positive().default(1e-12),
  /** Whether the matrix that names masked words is the word embedding. */
  tiedEmbeddings: z.boolean().default(true),
  /** Standard deviation of the initial weights. */
  initializerRange: z.number().positive().default(0.02),
  /** Id that fills sequences up. */
  padding: z.int().nonnegative().default(0),
});
export type BertSettings = z.infer<typeof BertSettings>;

/** What a forward pass of an encoder is told beside its tokens. */
export interface EncoderOptions {
  /** Segment of each token, `[batch · time]`; all 0 without. */
  readonly segments?: Int32Array;
  /** Tokens of each sequence that are not padding, `[batch]`; all without. */
  readonly lengths?: Int32Array;
  /** Source of dropout; null (the default) is inference. */
  readonly random?: Random | null;
  /** Keeps only the input of each block for the gradient and computes the rest again. */
  readonly recompute?: boolean;
}

/**
 * Bidirectional encoder: every token sees every other. Its blocks are those of GPT-1, norms after the residual sums,
 * without the causal mask.
 *
 * @see Devlin et al. (2019), "BERT: Pre-training of deep bidirectional Transformers for language understanding",
 * section 3, arXiv:1810.04805.
 */
export class Bert implements TextModel {
  readonly settings: BertSettings;
  /** `[vocabularySize, embeddingWidth]` */
  readonly tokenEmbedding: Parameter;
  /** `[positionOffset + context, embeddingWidth]` */
  readonly positionEmbedding: Parameter | null;
  /** `[segments, embeddingWidth]` */
  readonly segmentEmbedding: Parameter | null;
  readonly embeddingNorm: Norm;
  readonly embeddingProjection: Linear | null;
  readonly blocks: readonly Block[] | readonly DecoderBlock[];
  /** Only where norms stand before the sub-layers. */
  readonly finalNorm: Norm | null;
  readonly pooler: Linear;
  readonly poolerNorm: Norm | null;
  readonly #places: EncoderPlaces | null;

  constructor(settings: BertSettings, init: Initializer) {
    const { width, heads, normEpsilon, initializerRange: range, dropout } = settings;
    if (width % heads !== 0) throw new ShapeError(`bert: ${heads} heads do not divide a width of ${width}`);
    this.settings = settings;
    const inner = settings.embeddingWidth ?? width;
    this.tokenEmbedding = init.matrix([settings.vocabularySize, inner], range);
    const { turning } = settings;
    this.positionEmbedding = turning ? null : init.normal([settings.positionOffset + settings.context, inner], range);
    this.segmentEmbedding = settings.segments > 0 ? init.normal([settings.segments, inner], range) : null;
    const rule = { kind: "layer", epsilon: normEpsilon, gain: true, bias: !turning } as const;
    this.embeddingNorm = createNorm(inner, rule, init);
    const linear = { bias: !turning, standardDeviation: range };
    this.embeddingProjection = settings.embeddingWidth === null ? null : new Linear(inner, width, linear, init);
    const block = { ...settings, normPosition: "after", residualDropout: dropout } as const;
    const layers = Array.from({ length: settings.layers }, (_, layer) => layer);
    this.blocks = turning
      ? layers.map((layer) => new DecoderBlock(turningBlock(settings, turning), layer, init))
      : layers.map((layer) => new Block(block, layer, init));
    this.finalNorm = turning ? createNorm(width, rule, init) : null;
    this.pooler = new Linear(width, width, linear, init);
    this.poolerNorm = settings.sharesHead ? createNorm(width, rule, init) : null;
    this.#places = turning && new EncoderPlaces(init.backend, width / heads, turning);
  }

  get backend(): Tensor["backend"] {
    return this.tokenEmbedding.backend;
  }

  /** Token ids int32 `[batch, time]` → hidden states `[batch, time, width]`. */
  forward(ids: Tensor, options: EncoderOptions = {}): Tensor {
    const [batch, time] = [ids.axis(0), ids.axis(1)];
    const random = options.random ?? null;
    checkPositions("bert", this.settings.context, time, null);
    const { positionOffset: first } = this.settings;
    const tokens = this.tokenEmbedding.gatherRows(ids);
    const placed = this.positionEmbedding ? tokens.add(this.positionEmbedding.slice(0, first, first + time)) : tokens;
    const embedded = this.#withSegments(placed, options.segments ?? new Int32Array(batch * time));
    const normal = dropOut(this.embeddingNorm.forward(embedded), this.settings.dropout, random);
    const x = this.embeddingProjection?.forward(normal) ?? normal; // [batch, time, width]
    const through = { random, recompute: options.recompute ?? false };
    const last = this.#throughBlocks(x, options.lengths, through);
    return this.finalNorm?.forward(last) ?? last;
  }

  /**
   * Hidden states `[batch, time, width]` → a layer with its activation over a text's summary, `[batch, width]`.
   *
   * @param lengths - Tokens of each sequence that are not padding, `[batch]`; all without.
   */
  pooled(hidden: Tensor, lengths?: Int32Array): Tensor {
    const [batch, time] = [hidden.axis(0), hidden.axis(1)];
    const texts = {
      ...{ batch, time, lengths: lengths ?? new Int32Array(batch).fill(time) },
      skipped: new Int32Array(batch),
    };
    const pooled = this.pooler.forward(poolStates(this.settings.summary, hidden, texts), {
      activation: this.settings.poolerActivation,
    });
    return this.poolerNorm?.forward(pooled) ?? pooled;
  }

  #throughBlocks(x: Tensor, lengths: Int32Array | undefined, options: ForwardOptions): Tensor {
    const mask = { causal: false, keyLengths: lengths };
    const placesOf = this.#places?.of(x.axis(0), x.axis(1), lengths) ?? null;
    let states = x;
    for (const [layer, block] of this.blocks.entries()) {
      if (block instanceof Block) {
        states = throughBlocks([block], states, options, (one, input, own) => one.forward(input, mask, own));
      } else if (placesOf) {
        const places = placesOf(layer);
        states = throughBlocks([block], states, options, (one, input, own) => one.forward(input, places, own));
      }
    }
    return states;
  }

  #withSegments(embedded: Tensor, segments: Int32Array): Tensor {
    if (!this.segmentEmbedding) return embedded;
    const [batch, time] = [embedded.axis(0), embedded.axis(1)];
    return embedded.add(this.segmentEmbedding.gatherRows(Tensor.from(this.backend, segments, [batch, time])));
  }
}

/**
 * BERT with what it is pretrained by: a head that names masked words, its output matrix usually that of the word
 * embedding, and one that tells whether the second segment follows the first.
 *
 * @see Devlin et al. (2019), section 3.1.
 */
export class BertForPretraining implements TextModel {
  readonly body: Bert;
  readonly transform: Linear;
  readonly transformNorm: Norm;
  /** `[vocabularySize]` */
  readonly outputBias: Parameter;
  /** `[vocabularySize, embeddingWidth]`; null where the word embedding serves. */
  readonly head: Parameter | null;
  /** Logits of "it follows" (0) and "it does not" (1); null where nothing tells it. */
  readonly relationship: Linear | null;
  readonly #activation: Activation;

  constructor(settings: BertSettings, init: Initializer) {
    const linear = { bias: true, standardDeviation: settings.initializerRange };
    this.body = new Bert(settings, init);
    const inner = settings.embeddingWidth ?? settings.width;
    const { pooler, poolerNorm } = this.body;
    this.transform = poolerNorm ? pooler : new Linear(settings.width, inner, linear, init);
    this.transformNorm = poolerNorm ?? new LayerNorm(inner, settings.normEpsilon, init);
    this.outputBias = init.constant([settings.vocabularySize], 0);
    const { vocabularySize, initializerRange } = settings;
    this.head = settings.tiedEmbeddings ? null : init.matrix([vocabularySize, inner], initializerRange);
    this.relationship = settings.nextSentence ? new Linear(settings.width, 2, linear, init) : null;
    this.#activation = settings.wordActivation ?? settings.activation;
  }

  get settings(): BertSettings {
    return this.body.settings;
  }

  get backend(): Tensor["backend"] {
    return this.body.backend;
  }

  /** `[vocabularySize, embeddingWidth]` */
  get outputWeight(): Parameter {
    return this.head ?? this.body.tokenEmbedding;
  }

  /** Token ids int32 `[batch, time]` → hidden states `[batch, time, width]`. */
  forward(ids: Tensor, options: EncoderOptions = {}): Tensor {
    return this.body.forward(ids, options);
  }

  /** Hidden states `[…, width]` → what the output layer reads, `[…, embeddingWidth]`. */
  transformed(hidden: Tensor): Tensor {
    return this.transformNorm.forward(this.transform.forward(hidden, { activation: this.#activation }));
  }

  /** Hidden states `[…, width]` → logits of words `[…, vocabularySize]`. */
  logits(hidden: Tensor): Tensor {
    return this.transformed(hidden).matmul(this.outputWeight, { transposeB: true }).add(this.outputBias);
  }

  /**
   * Hidden states `[batch, time, width]` → logits of the two relationships, `[batch, 2]`.
   *
   * @throws {UnsupportedError} when there is no head for them.
   */
  relationshipLogits(hidden: Tensor): Tensor {
    if (!this.relationship)
      throw new UnsupportedError("encoder: it has no head that tells whether a segment follows another");
    return this.relationship.forward(this.body.pooled(hidden));
  }
}

/** Shape of a BERT with a classifier. */
export const BertClassifierSettings = BertSettings.extend({
  /** What is classified: a sequence, into one of `labels`; or the choices of a question, of which one is right. */
  task: z.enum(["sequence-classification", "multiple-choice"]),
  /** Names of the classes; none for multiple choice. */
  labels: z.array(z.string()),
});
export type BertClassifierSettings = z.infer<typeof BertClassifierSettings>;

/**
 * BERT with a linear layer over the pooled state: one output a class, or one for each choice of a question.
 *
 * @see Devlin et al. (2019), sections 4.1 and 4.4.
 */
export class BertClassifier implements TextModel {
  readonly settings: BertClassifierSettings;
  readonly body: Bert;
  readonly classifier: Linear;

  /** A new body, or one that has been pretrained. */
  constructor(settings: BertClassifierSettings, init: Initializer, body: Bert = new Bert(settings, init)) {
    const { width, task, labels, initializerRange } = settings;
    const outputs = task === "multiple-choice" ? 1 : labels.length;
    this.settings = settings;
    this.body = body;
    const linear = { bias: true, standardDeviation: initializerRange, isExact: true };
    this.classifier = new Linear(width, outputs, linear, init);
  }

  get backend(): Tensor["backend"] {
    return this.body.backend;
  }

  /** Token ids int32 `[batch, time]` → logits `[batch, classes]`; of choices as rows of a batch, `[batch, 1]`. */
  forward(ids: Tensor, options: EncoderOptions = {}): Tensor {
    const pooled = this.body.pooled(this.body.forward(ids, options), options.lengths);
    return this.classifier.forward(dropOut(pooled, this.settings.classifierDropout, options.random ?? null));
  }
}
