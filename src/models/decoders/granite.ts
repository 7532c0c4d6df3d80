import { z } from "zod";
import { defineDecoder } from "../decoder-family.ts";
import { llamaNames } from "../decoder-names.ts";
import { freshLlama, llamaKeys, llamaProperties } from "./llama-keys.ts";

const scale = z.number().positive().default(1);

/** Granite 3; folders of `model_type` granite. */
export const granite = defineDecoder({
  summary: "Granite: Llama with factors on embedding, attention, residual sums and logits",
  modelType: "granite",
  className: "GraniteForCausalLM",
  keys: z.object({
    ...llamaKeys,
    attention_bias: z.boolean().default(false),
    mlp_bias: z.boolean().default(false),
    embedding_multiplier: scale,
    attention_multiplier: scale,
    residual_multiplier: scale,
    logits_scaling: scale,
  }),
  properties: (keys) => ({
    ...llamaProperties(keys),
    bias: { qkv: keys.attention_bias, projection: keys.attention_bias, mlp: keys.mlp_bias, head: false },
    attentionScale: keys.attention_multiplier,
    scales: {
      embedding: keys.embedding_multiplier,
      residual: keys.residual_multiplier,
      logits: 1 / keys.logits_scaling,
    },
  }),
  fresh: (shape) => {
    const { head_dim: _, ...config } = freshLlama(shape);
    return {
      ...config,
      attention_multiplier: (shape.width / shape.heads) ** -0.5,
      attention_bias: false,
      mlp_bias: false,
    };
  },
  names: llamaNames,
});
