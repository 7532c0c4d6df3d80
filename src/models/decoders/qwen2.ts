import { z } from "zod";
import { size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { llamaNames } from "../decoder-names.ts";
import type { DecoderSettings } from "../decoder-settings.ts";
import { freshLlama, LayerTypes, layersByType, llamaKeys, llamaProperties, rotaryOf } from "./llama-keys.ts";

/** Keys of Qwen 2 and 3, with their defaults: windows in the upper layers, where they are switched on. */
export const qwenKeys = {
  ...llamaKeys,
  max_position_embeddings: size.default(32_768),
  use_sliding_window: z.boolean().default(false),
  sliding_window: size.nullish(),
  max_window_layers: z.int().nonnegative().default(28),
  layer_types: LayerTypes.nullish(),
};

type QwenKeys = z.output<z.ZodObject<typeof qwenKeys>>;

/** Properties by {@link qwenKeys}. */
export function qwenProperties(keys: QwenKeys): Omit<DecoderSettings, "config"> {
  const plain = llamaProperties(keys);
  const rotary = rotaryOf(plain);
  const window = keys.use_sliding_window ? (keys.sliding_window ?? null) : null;
  const types = plain.attention.map((_, layer) =>
    layer >= keys.max_window_layers ? "sliding_attention" : "full_attention",
  );
  return {
    ...plain,
    attention: layersByType(keys.layer_types ?? types, { full: { window: null, rotary }, sliding: { window, rotary } }),
  };
}

/** Qwen 2 and 2.5; folders of `model_type` qwen2. */
export const qwen2 = defineDecoder({
  summary: "Qwen 2: Llama with biases of queries, keys and values",
  modelType: "qwen2",
  className: "Qwen2ForCausalLM",
  keys: z.object({ ...qwenKeys, num_key_value_heads: size.nullable().default(32) }),
  properties: (keys) => ({
    ...qwenProperties(keys),
    bias: { qkv: true, projection: false, mlp: false, head: false },
  }),
  fresh: (shape) => ({ ...withoutHeadDim(freshLlama(shape)), use_sliding_window: false }),
  names: llamaNames,
});

function withoutHeadDim({ head_dim: _, ...config }: Record<string, unknown>): Record<string, unknown> {
  return config;
}
