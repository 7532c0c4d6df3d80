import { z } from "zod";
import { size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { llamaNames } from "../decoder-names.ts";
import type { DecoderSettings } from "../decoder-settings.ts";
import { RotaryParameters, readRotary } from "../rotary-config.ts";
import { freshLlama, LayerTypes, layersByType, llamaKeys, llamaProperties } from "./llama-keys.ts";

/** OLMo 1; folders of `model_type` olmo. */
export const olmo = defineDecoder({
  summary: "OLMo: Llama with layer norms that have nothing to train",
  modelType: "olmo",
  className: "OlmoForCausalLM",
  keys: z.object({ ...llamaKeys, attention_bias: z.boolean().default(false), clip_qkv: z.null().default(null) }),
  properties: (keys) => ({
    ...llamaProperties(keys),
    norm: { kind: "layer", epsilon: 1e-5, gain: false, bias: false },
    bias: { qkv: keys.attention_bias, projection: keys.attention_bias, mlp: false, head: false },
  }),
  fresh: (shape) => {
    const { head_dim: _, rms_norm_eps: __, ...config } = freshLlama(shape);
    return { ...config, attention_bias: false, clip_qkv: null };
  },
  names: llamaNames,
});

const olmo2Keys = {
  ...llamaKeys,
  rms_norm_eps: z.number().positive().default(1e-5),
  attention_bias: z.boolean().default(false),
};

function olmo2Properties(keys: z.output<z.ZodObject<typeof olmo2Keys>>, base: number): Omit<DecoderSettings, "config"> {
  const plain = llamaProperties(keys, base);
  return {
    ...plain,
    normsBefore: false,
    normsAfter: "branch",
    queryKeyNorm: { over: "whole", rule: plain.norm },
    bias: { qkv: keys.attention_bias, projection: keys.attention_bias, mlp: false, head: false },
  };
}

/** Norms stand after each sub-layer only. */
const names = {
  ...llamaNames,
  attentionAfter: "post_attention_layernorm",
  mlpAfter: "post_feedforward_layernorm",
};

/** OLMo 2; folders of `model_type` olmo2. */
export const olmo2 = defineDecoder({
  summary: "OLMo 2: Llama with norms after each sub-layer, and of all queries and keys together",
  modelType: "olmo2",
  className: "Olmo2ForCausalLM",
  keys: z.object(olmo2Keys),
  properties: (keys) => olmo2Properties(keys, 10_000),
  fresh: (shape) => {
    const { head_dim: _, ...config } = freshLlama(shape);
    return { ...config, attention_bias: false };
  },
  names,
});

const RuleOfEach = z.object({ full_attention: RotaryParameters, sliding_attention: RotaryParameters });

/** OLMo 3; folders of `model_type` olmo3. */
export const olmo3 = defineDecoder({
  summary: "OLMo 3: OLMo 2 with windows in three layers of four",
  modelType: "olmo3",
  className: "Olmo3ForCausalLM",
  keys: z.object({
    ...olmo2Keys,
    rope_parameters: z.union([RuleOfEach, RotaryParameters]).nullish(),
    sliding_window: size.default(4096),
    layer_types: LayerTypes.nullish(),
  }),
  properties({ rope_parameters: both, ...keys }) {
    const own = RuleOfEach.safeParse(both).data;
    const plain = olmo2Properties(keys, 500_000);
    const place = { headDim: plain.headDim, context: plain.context, base: 500_000 };
    const full = readRotary({ ...keys, rope_parameters: own?.full_attention }, place);
    // Scaled positions are those of the layers that see all.
    const local = readRotary({ rope_theta: keys.rope_theta, rope_parameters: own?.sliding_attention }, place);
    const types = plain.attention.map((_, layer) => ((layer + 1) % 4 === 0 ? "full_attention" : "sliding_attention"));
    return {
      ...plain,
      attention: layersByType(keys.layer_types ?? types, {
        full: { window: null, rotary: full },
        sliding: { window: keys.sliding_window, rotary: local },
      }),
    };
  },
  fresh: (shape) => {
    const { head_dim: _, ...config } = freshLlama(shape);
    return { ...config, attention_bias: false, sliding_window: Math.max(1, Math.floor(shape.context / 2)) };
  },
  names,
});
