import { z } from "zod";
import { ActivationName, activationNamed } from "../activation-names.ts";
import { layerCount, rate, size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { olderProperties } from "./older-keys.ts";

/** GPT-Neo and TinyStories; folders of `model_type` gpt_neo. */
export const gptNeo = defineDecoder({
  summary: "GPT-Neo: GPT-2 of which every other layer sees a window only",
  modelType: "gpt_neo",
  className: "GPTNeoForCausalLM",
  keys: z.object({
    vocab_size: size,
    max_position_embeddings: size.default(2048),
    hidden_size: size,
    num_layers: layerCount,
    num_heads: size,
    intermediate_size: size.nullish(),
    attention_types: z
      .array(z.tuple([z.array(z.enum(["global", "local"])), layerCount]))
      .default([[["global", "local"], 12]]),
    window_size: size.default(256),
    activation_function: ActivationName.default("gelu_new"),
    resid_dropout: rate.default(0),
    embed_dropout: rate.default(0),
    attention_dropout: rate.default(0),
    layer_norm_epsilon: z.number().positive().default(1e-5),
    initializer_range: z.number().positive().default(0.02),
    tie_word_embeddings: z.boolean().default(true),
  }),
  properties(keys) {
    const kinds = keys.attention_types.flatMap(([pattern, times]) => new Array(times).fill(pattern).flat() as string[]);
    return {
      ...olderProperties({
        vocabularySize: keys.vocab_size,
        context: keys.max_position_embeddings,
        width: keys.hidden_size,
        layers: keys.num_layers,
        heads: keys.num_heads,
        hidden: keys.intermediate_size ?? 4 * keys.hidden_size,
        activation: activationNamed(keys.activation_function),
        normEpsilon: keys.layer_norm_epsilon,
        tiedEmbeddings: keys.tie_word_embeddings,
        dropout: { embedding: keys.embed_dropout, attention: keys.attention_dropout, residual: keys.resid_dropout },
        initializerRange: keys.initializer_range,
      }),
      bias: { qkv: false, projection: true, mlp: true, head: false },
      positions: { kind: "learned", offset: 0 },
      attention: Array.from({ length: keys.num_layers }, (_, layer) => ({
        window: kinds[layer] === "local" ? keys.window_size : null,
        rotary: null,
      })),
      attentionScale: 1,
    };
  },
  fresh: (shape) => ({
    vocab_size: shape.vocabularySize,
    max_position_embeddings: shape.context,
    hidden_size: shape.width,
    num_layers: shape.layers,
    num_heads: shape.heads,
    intermediate_size: null,
    attention_types: [[["global", "local"], Math.ceil(shape.layers / 2)]],
    window_size: Math.max(1, Math.floor(shape.context / 2)),
    activation_function: "gelu_new",
    resid_dropout: shape.dropout,
    embed_dropout: shape.dropout,
    attention_dropout: shape.dropout,
    tie_word_embeddings: true,
  }),
  names: {
    tokenEmbedding: "transformer.wte",
    positionEmbedding: "transformer.wpe",
    finalNorm: "transformer.ln_f",
    head: "lm_head",
    blocks: "transformer.h.",
    attentionNorm: "ln_1",
    mlpNorm: "ln_2",
    qkv: ["attn.attention.q_proj", "attn.attention.k_proj", "attn.attention.v_proj"],
    projection: "attn.attention.out_proj",
    expansion: "mlp.c_fc",
    mlpProjection: "mlp.c_proj",
  },
  optionalPrefix: "transformer.",
  ignored: /attn\.attention\.(masked_)?bias$/,
});
