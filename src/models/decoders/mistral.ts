import { z } from "zod";
import { size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { llamaNames } from "../decoder-names.ts";
import { freshLlama, llamaKeys, llamaProperties } from "./llama-keys.ts";

/** Mistral 7B and its kin; folders of `model_type` mistral. */
export const mistral = defineDecoder({
  summary: "Mistral: Llama whose layers may see a window of keys only",
  modelType: "mistral",
  className: "MistralForCausalLM",
  keys: z.object({
    ...llamaKeys,
    max_position_embeddings: size.default(131_072),
    num_key_value_heads: size.nullable().default(8),
    sliding_window: size.nullable().default(4096),
  }),
  properties(keys) {
    const plain = llamaProperties(keys);
    return { ...plain, attention: plain.attention.map((layer) => ({ ...layer, window: keys.sliding_window })) };
  },
  fresh: (shape) => ({ ...freshLlama(shape), sliding_window: Math.max(1, Math.floor(shape.context / 2)) }),
  names: llamaNames,
});
