import { z } from "zod";
import { ActivationName, activationNamed } from "../activation-names.ts";
import { layerCount, rate, size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { readRotary, rotaryKeys } from "../rotary-config.ts";
import { everyLayer } from "./llama-keys.ts";
import { olderProperties } from "./older-keys.ts";

/** GPT-NeoX and Pythia; folders of `model_type` gpt_neox. */
export const gptNeox = defineDecoder({
  summary: "GPT-NeoX and Pythia: parallel sub-layers with a layer norm each, a quarter of each head turning",
  modelType: "gpt_neox",
  className: "GPTNeoXForCausalLM",
  keys: z.object({
    ...rotaryKeys,
    vocab_size: size,
    max_position_embeddings: size.default(2048),
    hidden_size: size,
    intermediate_size: size,
    num_hidden_layers: layerCount,
    num_attention_heads: size,
    hidden_act: ActivationName.default("gelu"),
    rotary_pct: z.number().positive().max(1).default(0.25),
    rotary_emb_base: z.number().positive().default(10_000),
    attention_dropout: rate.default(0),
    hidden_dropout: rate.default(0),
    layer_norm_eps: z.number().positive().default(1e-5),
    initializer_range: z.number().positive().default(0.02),
    use_parallel_residual: z.boolean().default(true),
    attention_bias: z.boolean().default(true),
    tie_word_embeddings: z.boolean().default(false),
  }),
  properties(keys) {
    const headDim = keys.hidden_size / keys.num_attention_heads;
    const place = { headDim, context: keys.max_position_embeddings };
    const rotary = readRotary(keys, { ...place, base: keys.rotary_emb_base, share: keys.rotary_pct });
    const { hidden_dropout: dropped } = keys;
    return {
      ...olderProperties({
        vocabularySize: keys.vocab_size,
        context: keys.max_position_embeddings,
        width: keys.hidden_size,
        layers: keys.num_hidden_layers,
        heads: keys.num_attention_heads,
        hidden: keys.intermediate_size,
        activation: activationNamed(keys.hidden_act),
        normEpsilon: keys.layer_norm_eps,
        tiedEmbeddings: keys.tie_word_embeddings,
        dropout: { embedding: dropped, attention: keys.attention_dropout, residual: dropped },
        initializerRange: keys.initializer_range,
      }),
      parallel: keys.use_parallel_residual,
      bias: { qkv: keys.attention_bias, projection: keys.attention_bias, mlp: true, head: false },
      attention: everyLayer(keys.num_hidden_layers, { window: null, rotary }),
    };
  },
  fresh: (shape) => ({
    vocab_size: shape.vocabularySize,
    max_position_embeddings: shape.context,
    hidden_size: shape.width,
    intermediate_size: 4 * shape.width,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    hidden_act: "gelu",
    rotary_pct: (shape.width / shape.heads) % 8 === 0 ? 0.25 : 1,
    rotary_emb_base: 10_000,
    attention_dropout: shape.dropout,
    hidden_dropout: shape.dropout,
    layer_norm_eps: 1e-5,
    use_parallel_residual: true,
    tie_word_embeddings: false,
  }),
  names: {
    tokenEmbedding: "gpt_neox.embed_in",
    finalNorm: "gpt_neox.final_layer_norm",
    head: "embed_out",
    blocks: "gpt_neox.layers.",
    attentionNorm: "input_layernorm",
    mlpNorm: "post_attention_layernorm",
    qkv: { packed: "attention.query_key_value", order: "by-group" },
    projection: "attention.dense",
    expansion: "mlp.dense_h_to_4h",
    mlpProjection: "mlp.dense_4h_to_h",
  },
  optionalPrefix: "gpt_neox.",
  ignored: /attention\.(masked_)?bias$/,
});
