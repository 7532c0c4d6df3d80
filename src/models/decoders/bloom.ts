import { z } from "zod";
import { layerCount, rate, size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { everyLayer } from "./llama-keys.ts";
import { olderProperties } from "./older-keys.ts";

/** BLOOM; folders of `model_type` bloom. */
export const bloom = defineDecoder({
  summary: "BLOOM: positions by slopes of the scores (ALiBi), a norm of the embedding",
  modelType: "bloom",
  className: "BloomForCausalLM",
  keys: z
    .object({
      vocab_size: size,
      hidden_size: size.optional(),
      n_embed: size.optional(),
      n_layer: layerCount,
      n_head: size,
      /** Nothing in the model depends on it: slopes reach as far as one likes. */
      seq_length: size.default(2048),
      hidden_dropout: rate.default(0),
      attention_dropout: rate.default(0),
      layer_norm_epsilon: z.number().positive().default(1e-5),
      initializer_range: z.number().positive().default(0.02),
      apply_residual_connection_post_layernorm: z.literal(false).default(false),
      tie_word_embeddings: z.boolean().default(true),
    })
    .refine((keys) => keys.hidden_size !== undefined || keys.n_embed !== undefined, {
      path: ["hidden_size"],
      message: "is needed",
    }),
  properties(keys) {
    const width = keys.hidden_size ?? keys.n_embed ?? 0;
    return {
      ...olderProperties({
        vocabularySize: keys.vocab_size,
        context: keys.seq_length,
        width,
        layers: keys.n_layer,
        heads: keys.n_head,
        hidden: 4 * width,
        activation: "geluTanh",
        normEpsilon: keys.layer_norm_epsilon,
        tiedEmbeddings: keys.tie_word_embeddings,
        dropout: { embedding: 0, attention: keys.attention_dropout, residual: keys.hidden_dropout },
        initializerRange: keys.initializer_range,
      }),
      embeddingNorm: true,
      bias: { qkv: true, projection: true, mlp: true, head: false },
      positions: { kind: "alibi", scale: 1 },
      attention: everyLayer(keys.n_layer, { window: null, rotary: null }),
    };
  },
  fresh: (shape) => ({
    vocab_size: shape.vocabularySize,
    hidden_size: shape.width,
    n_layer: shape.layers,
    n_head: shape.heads,
    seq_length: shape.context,
    hidden_dropout: shape.dropout,
    attention_dropout: shape.dropout,
    layer_norm_epsilon: 1e-5,
    tie_word_embeddings: true,
  }),
  names: {
    tokenEmbedding: "transformer.word_embeddings",
    embeddingNorm: "transformer.word_embeddings_layernorm",
    finalNorm: "transformer.ln_f",
    head: "lm_head",
    blocks: "transformer.h.",
    attentionNorm: "input_layernorm",
    mlpNorm: "post_attention_layernorm",
    qkv: { packed: "self_attention.query_key_value", order: "by-group" },
    projection: "self_attention.dense",
    expansion: "mlp.dense_h_to_4h",
    mlpProjection: "mlp.dense_4h_to_h",
  },
  optionalPrefix: "transformer.",
});
