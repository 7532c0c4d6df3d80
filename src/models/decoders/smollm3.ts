import { z } from "zod";
import { size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { llamaNames } from "../decoder-names.ts";
import { freshLlama, LayerTypes, llamaKeys, llamaProperties } from "./llama-keys.ts";

/** SmolLM 3; folders of `model_type` smollm3. */
export const smollm3 = defineDecoder({
  summary: "SmolLM 3: Llama of which every fourth layer has no positions",
  modelType: "smollm3",
  className: "SmolLM3ForCausalLM",
  keys: z.object({
    ...llamaKeys,
    max_position_embeddings: size.default(32_768),
    num_key_value_heads: size.nullable().default(4),
    tie_word_embeddings: z.boolean().default(true),
    attention_bias: z.boolean().default(false),
    mlp_bias: z.boolean().default(false),
    no_rope_layers: z.array(z.union([z.literal(0), z.literal(1)])).nullish(),
    no_rope_layer_interval: size.default(4),
    use_sliding_window: z.boolean().default(false),
    sliding_window: size.nullish(),
    layer_types: LayerTypes.nullish(),
  }),
  properties(keys) {
    const plain = llamaProperties(keys, 2_000_000);
    const turns = (layer: number): boolean =>
      (keys.no_rope_layers?.[layer] ?? ((layer + 1) % keys.no_rope_layer_interval === 0 ? 0 : 1)) === 1;
    const window = keys.use_sliding_window ? (keys.sliding_window ?? null) : null;
    return {
      ...plain,
      bias: { qkv: keys.attention_bias, projection: keys.attention_bias, mlp: keys.mlp_bias, head: false },
      attention: plain.attention.map(({ rotary }, layer) => ({
        rotary: turns(layer) ? rotary : null,
        window:
          (keys.layer_types?.[layer] ?? (turns(layer) ? "sliding_attention" : "full_attention")) === "sliding_attention"
            ? window
            : null,
      })),
    };
  },
  fresh: (shape) => ({ ...freshLlama(shape), no_rope_layer_interval: 4, attention_bias: false, mlp_bias: false }),
  names: llamaNames,
});
