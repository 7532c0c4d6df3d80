import type { Activation } from "../backend/functions.ts";
import type { NormRule } from "../nn/norm.ts";
import type { ModelConfig } from "./family.ts";

/** What tells a stack of an encoder-decoder where a token stands. */
export type StackPositions =
  /** Scores gain or lose by the distance of a key, learned for each head and shared by the blocks of a stack. */
  | { readonly kind: "relative"; readonly buckets: number; readonly maxDistance: number }
  /** A table for each stack with a row for each position, the first of them `offset` rows down. */
  | { readonly kind: "learned"; readonly offset: number }
  /** Sines and cosines of position, fixed. */
  | { readonly kind: "sine" };

/** Standard deviations of the initial weights. */
export interface StackDeviations {
  readonly embedding: number;
  /** Of queries; keys and values have those of `inward`. */
  readonly query: number;
  /** Of what reads hidden states. */
  readonly inward: number;
  /** Of the projection of heads. */
  readonly mixed: number;
  /** Of the projection of a feed-forward layer. */
  readonly outward: number;
}

/**
 * Everything in which encoder-decoders differ. A family maps the keys of its config.json to these, and the model reads
 * nothing else: no code asks which family it has.
 */
export interface EncoderDecoderSettings {
  readonly vocabularySize: number;
  /** Longest text that is read; where positions are a table, also the longest that is written. */
  readonly context: number;
  readonly width: number;
  /** Blocks of the encoder. */
  readonly layers: number;
  readonly decoderLayers: number;
  readonly heads: number;
  /** Width of one head; heads need not fill the width. */
  readonly headDim: number;
  /** Width of the feed-forward layers. */
  readonly hidden: number;
  readonly activation: Activation;
  /** Whether hidden units are products of an activated gate and a value. */
  readonly gated: boolean;
  readonly norm: NormRule;
  /** Norms at each sub-layer's input and at the end of each stack; otherwise of each residual sum, as in the first. */
  readonly normsBefore: boolean;
  /** Whether embeddings are normed. */
  readonly embeddingNorm: boolean;
  /** Whether linear maps have biases. */
  readonly bias: boolean;
  readonly positions: StackPositions;
  /** Multiplies the scores of attention. */
  readonly attentionScale: number;
  /** Multiply the embedding, and what the output layer reads. */
  readonly scales: { readonly embedding: number; readonly output: number };
  /** Whether the output layer is the token embedding. */
  readonly tiedEmbeddings: boolean;
  /** Whether logits have a constant added, which no training changes. */
  readonly outputBias: boolean;
  readonly dropout: {
    /** Of embeddings and of what each sub-layer adds. */
    readonly residual: number;
    readonly attention: number;
    /** Of hidden units of the feed-forward layers. */
    readonly activation: number;
    /** Of what each stack gives. */
    readonly output: number;
  };
  readonly deviations: StackDeviations;
  /** Id that fills sequences up. */
  readonly padding: number;
  /** Id that the decoder starts from. */
  readonly decoderStart: number;
  /** Id that ends a text; null where nothing does. */
  readonly endOfText: number | null;
  /** Id that every written text begins with, whatever the model says; null: as it says. */
  readonly firstToken: number | null;
  /** Id that a text ends with at the limit of its length. */
  readonly lastToken: number | null;
  /** Ids that are never written. */
  readonly neverWritten: readonly number[];
  /** The config.json that all of this was read from; what is written is this, with sizes and ids that changed. */
  readonly config: ModelConfig;
}
