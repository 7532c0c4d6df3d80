import { z } from "zod";
import { defineDecoder } from "../decoder-family.ts";
import { llamaNames } from "../decoder-names.ts";
import { freshLlama, llamaKeys, llamaProperties } from "./llama-keys.ts";

/** Llama 1 to 3.3, SmolLM 1 and 2, TinyLlama, Yi; folders of `model_type` llama. */
export const llama = defineDecoder({
  summary: "Llama: decoder-only Transformer with rotary positions, RMS norms, SwiGLU and grouped queries",
  modelType: "llama",
  className: "LlamaForCausalLM",
  keys: z.object({
    ...llamaKeys,
    attention_bias: z.boolean().default(false),
    mlp_bias: z.boolean().default(false),
    pretraining_tp: z.literal(1).default(1),
  }),
  properties: (keys) => ({
    ...llamaProperties(keys),
    bias: { qkv: keys.attention_bias, projection: keys.attention_bias, mlp: keys.mlp_bias, head: false },
  }),
  fresh: (shape) => ({ ...freshLlama(shape), attention_bias: false, mlp_bias: false }),
  names: llamaNames,
});
