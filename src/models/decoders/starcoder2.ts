import { z } from "zod";
import { ActivationName } from "../activation-names.ts";
import { rate, size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { llamaNames } from "../decoder-names.ts";
import { freshLlama, llamaKeys, llamaProperties } from "./llama-keys.ts";

/** StarCoder 2; folders of `model_type` starcoder2. */
export const starcoder2 = defineDecoder({
  summary: "StarCoder 2: layer norms and plain feed-forward layers, biases everywhere, windows",
  modelType: "starcoder2",
  className: "Starcoder2ForCausalLM",
  keys: z.object({
    ...llamaKeys,
    max_position_embeddings: size.default(4096),
    num_key_value_heads: size.nullable().default(2),
    hidden_act: ActivationName.default("gelu_pytorch_tanh"),
    norm_epsilon: z.number().positive().default(1e-5),
    sliding_window: size.nullish(),
    use_bias: z.boolean().default(true),
    residual_dropout: rate.default(0),
    embedding_dropout: rate.default(0),
    tie_word_embeddings: z.boolean().default(true),
  }),
  properties(keys) {
    const plain = llamaProperties(keys);
    const bias = keys.use_bias;
    return {
      ...plain,
      gated: false,
      norm: { kind: "layer", epsilon: keys.norm_epsilon, gain: true, bias: true },
      bias: { qkv: bias, projection: bias, mlp: bias, head: false },
      attention: plain.attention.map(({ rotary }) => ({ rotary, window: keys.sliding_window ?? null })),
      dropout: { ...plain.dropout, embedding: keys.embedding_dropout, residual: keys.residual_dropout },
    };
  },
  fresh: (shape) => {
    const { head_dim: _, rms_norm_eps: __, ...config } = freshLlama(shape);
    return {
      ...config,
      intermediate_size: 4 * shape.width,
      hidden_act: "gelu_pytorch_tanh",
      norm_epsilon: 1e-5,
      sliding_window: null,
      use_bias: true,
    };
  },
  names: { ...llamaNames, expansion: "mlp.c_fc", mlpProjection: "mlp.c_proj" },
});
