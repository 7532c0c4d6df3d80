import { z } from "zod";
import { rate, size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { llamaNames } from "../decoder-names.ts";
import { readRotary } from "../rotary-config.ts";
import { everyLayer, freshLlama, llamaKeys, llamaProperties } from "./llama-keys.ts";

/** StableLM 3B and StableLM 2; folders of `model_type` stablelm. */
export const stablelm = defineDecoder({
  summary: "StableLM: Llama with layer norms, a quarter of each head turning",
  modelType: "stablelm",
  className: "StableLmForCausalLM",
  keys: z.object({
    ...llamaKeys,
    max_position_embeddings: size.default(4096),
    layer_norm_eps: z.number().positive().default(1e-5),
    use_qkv_bias: z.boolean().default(false),
    qk_layernorm: z.literal(false).default(false),
    use_parallel_residual: z.boolean().default(false),
    hidden_dropout: rate.default(0),
  }),
  properties(keys) {
    const plain = llamaProperties(keys);
    const rotary = readRotary(keys, { headDim: plain.headDim, context: plain.context, base: 10_000, share: 0.25 });
    return {
      ...plain,
      norm: { kind: "layer", epsilon: keys.layer_norm_eps, gain: true, bias: true },
      parallel: keys.use_parallel_residual,
      sharedNorm: keys.use_parallel_residual,
      bias: { qkv: keys.use_qkv_bias, projection: false, mlp: false, head: false },
      attention: everyLayer(plain.layers, { window: null, rotary }),
      dropout: { ...plain.dropout, residual: keys.hidden_dropout },
    };
  },
  fresh: (shape) => {
    const { head_dim: _, rms_norm_eps: __, ...config } = freshLlama(shape);
    const share = (shape.width / shape.heads) % 8 === 0 ? 0.25 : 1;
    return { ...config, layer_norm_eps: 1e-5, partial_rotary_factor: share, tie_word_embeddings: false };
  },
  names: llamaNames,
});
