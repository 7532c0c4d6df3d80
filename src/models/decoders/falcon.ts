import { z } from "zod";
import { ActivationName, activationNamed } from "../activation-names.ts";
import { layerCount, rate, size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { readRotary, rotaryKeys } from "../rotary-config.ts";
import { everyLayer } from "./llama-keys.ts";
import { olderProperties } from "./older-keys.ts";

/** Falcon 7B, 40B, 180B, RW and 2; folders of `model_type` falcon. */
export const falcon = defineDecoder({
  summary: "Falcon: parallel sub-layers and few key-value heads; positions turn, or lower scores by slopes",
  modelType: "falcon",
  className: "FalconForCausalLM",
  keys: z.object({
    ...rotaryKeys,
    vocab_size: size,
    hidden_size: size,
    num_hidden_layers: layerCount,
    num_attention_heads: size,
    num_kv_heads: size.nullish(),
    ffn_hidden_size: size.nullish(),
    max_position_embeddings: size.default(2048),
    num_ln_in_parallel_attn: z.union([z.literal(1), z.literal(2)]).nullish(),
    new_decoder_architecture: z.boolean().default(false),
    multi_query: z.boolean().default(true),
    parallel_attn: z.boolean().default(true),
    alibi: z.boolean().default(false),
    bias: z.boolean().default(false),
    activation: ActivationName.default("gelu"),
    hidden_dropout: rate.default(0),
    attention_dropout: rate.default(0),
    layer_norm_epsilon: z.number().positive().default(1e-5),
    initializer_range: z.number().positive().default(0.02),
    tie_word_embeddings: z.boolean().default(true),
    apply_residual_connection_post_layernorm: z.literal(false).default(false),
  }),
  properties(keys) {
    const heads = keys.num_attention_heads;
    const headDim = keys.hidden_size / heads;
    const isNew = keys.new_decoder_architecture;
    const parallel = isNew || keys.parallel_attn;
    const place = { headDim, context: keys.max_position_embeddings, base: 10_000 };
    return {
      ...olderProperties({
        vocabularySize: keys.vocab_size,
        context: keys.max_position_embeddings,
        width: keys.hidden_size,
        layers: keys.num_hidden_layers,
        heads,
        hidden: keys.ffn_hidden_size ?? 4 * keys.hidden_size,
        activation: activationNamed(keys.activation),
        normEpsilon: keys.layer_norm_epsilon,
        tiedEmbeddings: keys.tie_word_embeddings,
        dropout: { embedding: 0, attention: keys.attention_dropout, residual: keys.hidden_dropout },
        initializerRange: keys.initializer_range,
      }),
      keyValueHeads: isNew ? (keys.num_kv_heads ?? heads) : keys.multi_query ? 1 : heads,
      parallel,
      sharedNorm: parallel && (keys.num_ln_in_parallel_attn ?? (isNew ? 2 : 1)) === 1,
      bias: { qkv: keys.bias, projection: keys.bias, mlp: keys.bias, head: false },
      // Slopes are added before the scores are scaled.
      positions: keys.alibi ? { kind: "alibi", scale: 1 / Math.sqrt(headDim) } : { kind: "none" },
      attention: everyLayer(keys.num_hidden_layers, {
        window: null,
        rotary: keys.alibi ? null : readRotary(keys, place),
      }),
    };
  },
  fresh: (shape) => ({
    vocab_size: shape.vocabularySize,
    hidden_size: shape.width,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    max_position_embeddings: shape.context,
    new_decoder_architecture: false,
    multi_query: true,
    parallel_attn: true,
    alibi: false,
    bias: false,
    hidden_dropout: shape.dropout,
    attention_dropout: shape.dropout,
    tie_word_embeddings: true,
  }),
  names: {
    tokenEmbedding: "transformer.word_embeddings",
    finalNorm: "transformer.ln_f",
    head: "lm_head",
    blocks: "transformer.h.",
    qkv: { packed: "self_attention.query_key_value", order: "by-group" },
    projection: "self_attention.dense",
    expansion: "mlp.dense_h_to_4h",
    mlpProjection: "mlp.dense_4h_to_h",
  },
  namesBy: ({ parallel, sharedNorm }) => ({
    attentionNorm: parallel && !sharedNorm ? "ln_attn" : "input_layernorm",
    mlpNorm: parallel ? "ln_mlp" : "post_attention_layernorm",
  }),
  optionalPrefix: "transformer.",
});
