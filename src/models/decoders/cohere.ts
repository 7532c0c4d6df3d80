import { z } from "zod";
import { size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { llamaNames } from "../decoder-names.ts";
import type { DecoderSettings } from "../decoder-settings.ts";
import type { ModelConfig, ModelShape } from "../family.ts";
import { freshLlama, LayerTypes, layersByType, llamaKeys, llamaProperties, rotaryOf } from "./llama-keys.ts";

const cohereKeys = {
  ...llamaKeys,
  max_position_embeddings: size.default(8192),
  layer_norm_eps: z.number().positive().default(1e-5),
  logit_scale: z.number().positive().default(0.0625),
  attention_bias: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(true),
};

function cohereProperties(
  keys: z.output<z.ZodObject<typeof cohereKeys>>,
  base: number,
): Omit<DecoderSettings, "config"> {
  const { attention_bias: bias } = keys;
  return {
    ...llamaProperties(keys, base),
    norm: { kind: "layer", epsilon: keys.layer_norm_eps, gain: true, bias: false },
    parallel: true,
    sharedNorm: true,
    bias: { qkv: bias, projection: bias, mlp: false, head: false },
    scales: { embedding: 1, residual: 1, logits: keys.logit_scale },
  };
}

const names = { ...llamaNames, pairsAreNeighbours: true };

function fresh(shape: ModelShape): ModelConfig {
  const { rms_norm_eps: _, ...config } = freshLlama(shape);
  return { ...config, layer_norm_eps: 1e-5, logit_scale: 1, attention_bias: false };
}

/** Command R, of PaLM's shape; folders of `model_type` cohere. */
export const cohere = defineDecoder({
  summary: "Command R: PaLM's shape, parallel sub-layers with one layer norm without bias",
  modelType: "cohere",
  className: "CohereForCausalLM",
  keys: z.object({ ...cohereKeys, use_qk_norm: z.literal(false).default(false) }),
  properties: (keys) => cohereProperties(keys, 500_000),
  fresh: (shape) => {
    const { head_dim: _, ...config } = fresh(shape);
    return { ...config, use_qk_norm: false };
  },
  names,
});

/** Command R7B and A; folders of `model_type` cohere2. */
export const cohere2 = defineDecoder({
  summary: "Command R7B: Command R with windows and positions in three layers of four, and neither in the fourth",
  modelType: "cohere2",
  className: "Cohere2ForCausalLM",
  keys: z.object({
    ...cohereKeys,
    head_dim: size.default(128),
    sliding_window: size.default(4096),
    sliding_window_pattern: size.default(4),
    layer_types: LayerTypes.nullish(),
  }),
  properties(keys) {
    const plain = cohereProperties(keys, 10_000);
    const types = plain.attention.map((_, layer) =>
      (layer + 1) % keys.sliding_window_pattern === 0 ? "full_attention" : "sliding_attention",
    );
    return {
      ...plain,
      attention: layersByType(keys.layer_types ?? types, {
        full: { window: null, rotary: null },
        sliding: { window: keys.sliding_window, rotary: rotaryOf(plain) },
      }),
    };
  },
  fresh: (shape) => ({ ...fresh(shape), sliding_window: Math.max(1, Math.floor(shape.context / 2)) }),
  names,
});
