import { z } from "zod";
import type { ActivationName } from "../activation-names.ts";
import { ActivationName as ActivationKey, activationNamed } from "../activation-names.ts";
import { layerCount, rate, size, tokenId } from "../config-numbers.ts";
import type { EncoderDecoderFamily, EncoderDecoderNames, EncoderDecoderOptions } from "../encoder-decoder-family.ts";
import { defineEncoderDecoder, firstId, writingKeys } from "../encoder-decoder-family.ts";
import type { EncoderDecoderSettings, StackPositions } from "../encoder-decoder-settings.ts";
import type { ModelConfig, ModelShape } from "../family.ts";

/** In which ways BART and its kin differ. */
export interface BartLike
  extends Pick<EncoderDecoderOptions<z.ZodObject>, "summary" | "modelType" | "className" | "freshDeviations"> {
  readonly normsBefore: boolean;
  readonly embeddingNorm: boolean;
  readonly positions: StackPositions;
  /** Ids where a config does not say them. */
  readonly ids: { readonly padding: number; readonly start: number; readonly end: number };
  /** Of a new model. */
  readonly activation: ActivationName;
  /** Whether a new model's embeddings are multiplied by √width. */
  readonly scalesEmbedding: boolean;
}

type BartKeys = z.output<ReturnType<typeof keysOf>>;

/** The keys of config.json; those of the first releases have to be what all models of a type have. */
function keysOf({ ids, normsBefore, embeddingNorm, positions }: BartLike) {
  return z
    .object({
      vocab_size: size,
      d_model: size.default(1024),
      encoder_layers: layerCount.default(12),
      decoder_layers: layerCount.default(12),
      encoder_attention_heads: size.default(16),
      decoder_attention_heads: size.default(16),
      encoder_ffn_dim: size.default(4096),
      decoder_ffn_dim: size.default(4096),
      max_position_embeddings: size.default(1024),
      activation_function: ActivationKey.default("gelu"),
      dropout: rate.default(0.1),
      attention_dropout: rate.default(0),
      activation_dropout: rate.default(0),
      init_std: z.number().positive().default(0.02),
      scale_embedding: z.boolean().default(false),
      tie_word_embeddings: z.boolean().default(true),
      is_encoder_decoder: z.literal(true).default(true),
      pad_token_id: tokenId.default(ids.padding),
      decoder_start_token_id: tokenId.default(ids.start),
      eos_token_id: firstId.default(ids.end),
      forced_eos_token_id: firstId.default(ids.end),
      ...writingKeys,
      normalize_before: z.literal(normsBefore).optional(),
      add_final_layer_norm: z.literal(normsBefore).optional(),
      normalize_embedding: z.literal(embeddingNorm).optional(),
      static_position_embeddings: z.literal(positions.kind === "sine").optional(),
      share_encoder_decoder_embeddings: z.literal(true).optional(),
      decoder_vocab_size: size.nullish(),
    })
    .refine(
      (keys) => keys.encoder_attention_heads === keys.decoder_attention_heads,
      unlike("decoder_attention_heads", "a decoder with another number of heads than the encoder"),
    )
    .refine(
      (keys) => keys.encoder_ffn_dim === keys.decoder_ffn_dim,
      unlike("decoder_ffn_dim", "a decoder with wider or narrower layers than the encoder"),
    )
    .refine(
      (keys) => (keys.decoder_vocab_size ?? keys.vocab_size) === keys.vocab_size,
      unlike("decoder_vocab_size", "a vocabulary of the decoder's own"),
    )
    .refine((keys) => keys.d_model % keys.encoder_attention_heads === 0, {
      path: ["encoder_attention_heads"],
      message: "the number of heads must divide d_model",
    });
}

function unlike(key: string, what: string): { path: string[]; message: string } {
  return { path: [key], message: `${what} is not supported` };
}

function properties(keys: BartKeys, like: BartLike): Omit<EncoderDecoderSettings, "config"> {
  const { d_model: width, encoder_attention_heads: heads, init_std: range } = keys;
  const { normsBefore, embeddingNorm, positions } = like;
  return {
    ...{ vocabularySize: keys.vocab_size, context: keys.max_position_embeddings, width, heads },
    layers: keys.encoder_layers,
    decoderLayers: keys.decoder_layers,
    headDim: width / heads,
    hidden: keys.encoder_ffn_dim,
    activation: activationNamed(keys.activation_function),
    gated: false,
    norm: { kind: "layer", epsilon: 1e-5, gain: true, bias: true },
    ...{ normsBefore, embeddingNorm, positions, bias: true },
    attentionScale: 1 / Math.sqrt(width / heads),
    scales: { embedding: keys.scale_embedding ? Math.sqrt(width) : 1, output: 1 },
    tiedEmbeddings: keys.tie_word_embeddings,
    outputBias: true,
    dropout: {
      ...{ residual: keys.dropout, attention: keys.attention_dropout, activation: keys.activation_dropout, output: 0 },
    },
    deviations: { embedding: range, query: range, inward: range, mixed: range, outward: range },
    padding: keys.pad_token_id,
    decoderStart: keys.decoder_start_token_id,
    endOfText: keys.eos_token_id,
    firstToken: keys.forced_bos_token_id,
    lastToken: keys.forced_eos_token_id,
    neverWritten: keys.bad_words_ids,
  };
}

function fresh(shape: ModelShape, { activation, scalesEmbedding }: BartLike): ModelConfig {
  return {
    vocab_size: shape.vocabularySize,
    max_position_embeddings: shape.context,
    d_model: shape.width,
    encoder_layers: shape.layers,
    decoder_layers: shape.layers,
    encoder_attention_heads: shape.heads,
    decoder_attention_heads: shape.heads,
    encoder_ffn_dim: 4 * shape.width,
    decoder_ffn_dim: 4 * shape.width,
    activation_function: activation,
    dropout: shape.dropout,
    attention_dropout: 0,
    activation_dropout: 0,
    scale_embedding: scalesEmbedding,
    tie_word_embeddings: true,
    ...{ pad_token_id: 0, decoder_start_token_id: 0, eos_token_id: 1, forced_eos_token_id: null },
  };
}

const names: EncoderDecoderNames = {
  renamings: [
    [/^tokenEmbedding$/, "model.shared.weight"],
    [/^head$/, "lm_head.weight"],
    [/^outputBias$/, "final_logits_bias"],
    [/^(en|de)coder\./, "model.$1coder."],
    [/\.positionEmbedding$/, ".embed_positions.weight"],
    [/\.embeddingNorm/, ".layernorm_embedding"],
    [/\.finalNorm/, ".layer_norm"],
    [/\.blocks\./, ".layers."],
    [/\.attentionNorm/, ".self_attn_layer_norm"],
    [/\.attention\.projection/, ".self_attn.out_proj"],
    [/\.attention\./, ".self_attn."],
    [/\.crossNorm/, ".encoder_attn_layer_norm"],
    [/\.cross\.query/, ".encoder_attn.q_proj"],
    [/\.cross\.key/, ".encoder_attn.k_proj"],
    [/\.cross\.value/, ".encoder_attn.v_proj"],
    [/\.cross\.projection/, ".encoder_attn.out_proj"],
    [/\.mlpNorm/, ".final_layer_norm"],
    [/\.mlp\.expansion/, ".fc1"],
    [/\.mlp\.projection/, ".fc2"],
    [/\.gain$/, ".weight"],
  ],
  qkv: ["q_proj", "k_proj", "v_proj"],
  ownHead: { embedding: "model.shared.weight", head: "lm_head.weight" },
  optionalPrefix: "model.",
  ignored: /^(model\.)?((en|de)coder\.(embed_tokens\.weight|embed_positions\.weight|version)|lm_head\.weight)$/,
  copies: { names: /^(model\.)?(en|de)coder\.embed_tokens\.weight$/, of: "model.shared.weight" },
  optionalParts: /^final_logits_bias$/,
  spellings: [[/^model\.decoder\.embed_tokens\.weight$/, "model.shared.weight"]],
};

/** A family in the layout that BART's folders have. */
export function bartLike(like: BartLike): EncoderDecoderFamily {
  return defineEncoderDecoder({
    ...like,
    keys: keysOf(like),
    properties: (keys) => properties(keys, like),
    fresh: (shape) => fresh(shape, like),
    written: ({ lastToken, vocabularySize, config }) => ({
      forced_eos_token_id: lastToken,
      ...(config.decoder_vocab_size !== undefined && { decoder_vocab_size: vocabularySize }),
    }),
    names,
  });
}
