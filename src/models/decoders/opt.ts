import { z } from "zod";
import { ActivationName, activationNamed } from "../activation-names.ts";
import { layerCount, rate, size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { everyLayer } from "./llama-keys.ts";
import { olderProperties } from "./older-keys.ts";

/** OPT; folders of `model_type` opt. */
export const opt = defineDecoder({
  summary: "OPT: GPT-3's shape, with learned positions and ReLU",
  modelType: "opt",
  className: "OPTForCausalLM",
  keys: z
    .object({
      vocab_size: size,
      max_position_embeddings: size.default(2048),
      hidden_size: size,
      ffn_dim: size,
      num_hidden_layers: layerCount,
      num_attention_heads: size,
      word_embed_proj_dim: size.nullish(),
      do_layer_norm_before: z.boolean().default(true),
      _remove_final_layer_norm: z.literal(false).default(false),
      layer_norm_elementwise_affine: z.boolean().default(true),
      enable_bias: z.boolean().default(true),
      activation_function: ActivationName.default("relu"),
      dropout: rate.default(0.1),
      attention_dropout: rate.default(0),
      init_std: z.number().positive().default(0.02),
      tie_word_embeddings: z.boolean().default(true),
    })
    .refine((keys) => (keys.word_embed_proj_dim ?? keys.hidden_size) === keys.hidden_size, {
      path: ["word_embed_proj_dim"],
      message: "an embedding narrower than the model is not supported",
    }),
  properties(keys) {
    const { layer_norm_elementwise_affine: affine, enable_bias: bias } = keys;
    return {
      ...olderProperties({
        vocabularySize: keys.vocab_size,
        context: keys.max_position_embeddings,
        width: keys.hidden_size,
        layers: keys.num_hidden_layers,
        heads: keys.num_attention_heads,
        hidden: keys.ffn_dim,
        activation: activationNamed(keys.activation_function),
        normEpsilon: 1e-5,
        tiedEmbeddings: keys.tie_word_embeddings,
        dropout: { embedding: 0, attention: keys.attention_dropout, residual: keys.dropout },
        initializerRange: keys.init_std,
      }),
      norm: { kind: "layer", epsilon: 1e-5, gain: affine, bias: affine },
      normsBefore: keys.do_layer_norm_before,
      normsAfter: keys.do_layer_norm_before ? null : "sum",
      bias: { qkv: bias, projection: bias, mlp: bias, head: false },
      positions: { kind: "learned", offset: 2 },
      attention: everyLayer(keys.num_hidden_layers, { window: null, rotary: null }),
    };
  },
  fresh: (shape) => ({
    vocab_size: shape.vocabularySize,
    max_position_embeddings: shape.context,
    hidden_size: shape.width,
    ffn_dim: 4 * shape.width,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    word_embed_proj_dim: shape.width,
    do_layer_norm_before: true,
    activation_function: "relu",
    dropout: shape.dropout,
    attention_dropout: shape.dropout,
    tie_word_embeddings: true,
  }),
  names: {
    tokenEmbedding: "model.decoder.embed_tokens",
    positionEmbedding: "model.decoder.embed_positions",
    finalNorm: "model.decoder.final_layer_norm",
    head: "lm_head",
    blocks: "model.decoder.layers.",
    attentionNorm: "self_attn_layer_norm",
    attentionAfter: "self_attn_layer_norm",
    mlpNorm: "final_layer_norm",
    mlpAfter: "final_layer_norm",
    qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    projection: "self_attn.out_proj",
    expansion: "fc1",
    mlpProjection: "fc2",
  },
});
