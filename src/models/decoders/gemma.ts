import { z } from "zod";
import { ActivationName, activationNamed } from "../activation-names.ts";
import { size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { llamaNames } from "../decoder-names.ts";
import type { DecoderSettings, LayerAttention } from "../decoder-settings.ts";
import type { ModelConfig, ModelShape } from "../family.ts";
import type { rotaryKeys } from "../rotary-config.ts";
import { RotaryParameters, readRotary } from "../rotary-config.ts";
import { freshLlama, LayerTypes, layersByType, llamaKeys, llamaProperties, rotaryOf } from "./llama-keys.ts";

const activation = ActivationName.nullish();
const cap = z.number().positive().nullish();

const gemmaKeys = {
  ...llamaKeys,
  max_position_embeddings: size.default(8192),
  head_dim: size.default(256),
  hidden_act: ActivationName.default("gelu_pytorch_tanh"),
  hidden_activation: activation,
  tie_word_embeddings: z.boolean().default(true),
  attention_bias: z.boolean().default(false),
  use_bidirectional_attention: z.literal(false).nullish(),
};

type GemmaKeys = z.output<z.ZodObject<typeof gemmaKeys>>;

function gemmaProperties(keys: GemmaKeys): Omit<DecoderSettings, "config"> {
  const { attention_bias: bias } = keys;
  return {
    ...llamaProperties(keys),
    activation: activationNamed(keys.hidden_activation ?? keys.hidden_act),
    scales: { embedding: Math.sqrt(keys.hidden_size), residual: 1, logits: 1 },
    bias: { qkv: bias, projection: bias, mlp: false, head: false },
  };
}

/** Files store the gains of all norms less 1. */
const names = { ...llamaNames, gainsAreShifted: true };

function fresh(shape: ModelShape): ModelConfig {
  const { hidden_act: _, ...config } = freshLlama(shape);
  return { ...config, hidden_activation: "gelu_pytorch_tanh" };
}

/** Gemma 1; folders of `model_type` gemma. */
export const gemma = defineDecoder({
  summary: "Gemma: Llama with a scaled embedding and GELU gates",
  modelType: "gemma",
  className: "GemmaForCausalLM",
  keys: z.object(gemmaKeys),
  properties: gemmaProperties,
  fresh: (shape) => ({ ...fresh(shape), hidden_act: "gelu_pytorch_tanh" }),
  names,
});

/** Norms before and after each sub-layer; files call the one after attention as Llama's call the one after it. */
const namesOfFourNorms = {
  ...names,
  attentionAfter: "post_attention_layernorm",
  mlpNorm: "pre_feedforward_layernorm",
  mlpAfter: "post_feedforward_layernorm",
};

const gemma2Keys = {
  ...gemmaKeys,
  query_pre_attn_scalar: z.number().positive().default(256),
  sliding_window: size.nullable().default(4096),
  layer_types: LayerTypes.nullish(),
  final_logit_softcapping: cap,
  attn_logit_softcapping: cap,
};

type Gemma2Keys = z.output<z.ZodObject<typeof gemma2Keys>>;

function gemma2Properties(keys: Gemma2Keys): Omit<DecoderSettings, "config"> {
  return {
    ...gemmaProperties(keys),
    normsAfter: "branch",
    attentionScale: 1 / Math.sqrt(keys.query_pre_attn_scalar),
    caps: { attention: keys.attn_logit_softcapping ?? null, logits: keys.final_logit_softcapping ?? null },
  };
}

/** Gemma 2; folders of `model_type` gemma2. */
export const gemma2 = defineDecoder({
  summary: "Gemma 2: norms before and after each sub-layer, capped scores and logits, windows in every other layer",
  modelType: "gemma2",
  className: "Gemma2ForCausalLM",
  keys: z.object({
    ...gemma2Keys,
    final_logit_softcapping: z.number().positive().nullable().default(30),
    attn_logit_softcapping: z.number().positive().nullable().default(50),
  }),
  properties(keys) {
    const plain = gemma2Properties(keys);
    const rotary = rotaryOf(plain);
    const types = plain.attention.map((_, layer) => (layer % 2 === 0 ? "sliding_attention" : "full_attention"));
    const sliding: LayerAttention = { window: keys.sliding_window, rotary };
    return {
      ...plain,
      attention: layersByType(keys.layer_types ?? types, { full: { window: null, rotary }, sliding }),
    };
  },
  fresh: (shape) => ({
    ...fresh(shape),
    query_pre_attn_scalar: shape.width / shape.heads,
    sliding_window: Math.max(1, Math.floor(shape.context / 2)),
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
  }),
  names: namesOfFourNorms,
});

/** Gemma 3's text models; folders of `model_type` gemma3_text. */
export const gemma3 = defineDecoder({
  summary: "Gemma 3: as Gemma 2, with norms of queries and keys instead of caps, and windows in five layers of six",
  modelType: "gemma3_text",
  className: "Gemma3ForCausalLM",
  keys: z.object({
    ...gemma2Keys,
    max_position_embeddings: size.default(131_072),
    rope_local_base_freq: z.number().positive().default(10_000),
    rope_parameters: z
      .union([z.object({ full_attention: RotaryParameters, sliding_attention: RotaryParameters }), RotaryParameters])
      .nullish(),
    sliding_window_pattern: size.optional(),
    _sliding_window_pattern: size.optional(),
  }),
  properties({ rope_parameters: both, ...keys }) {
    const own = both && "full_attention" in both ? both : null;
    const plain = gemma2Properties({ ...keys, rope_parameters: own ? own.full_attention : (both as typeof own) });
    const place = { headDim: keys.head_dim, context: keys.max_position_embeddings };
    const full = readRotary(
      { ...keys, rope_parameters: own?.full_attention ?? (both as z.output<typeof rotaryKeys.rope_parameters>) },
      { ...place, base: 1_000_000 },
    );
    const local = readRotary(
      { rope_theta: keys.rope_local_base_freq, rope_parameters: own?.sliding_attention },
      { ...place, base: 10_000 },
    );
    const pattern = keys.sliding_window_pattern ?? keys._sliding_window_pattern ?? 6;
    const types = plain.attention.map((_, layer) =>
      (layer + 1) % pattern === 0 ? "full_attention" : "sliding_attention",
    );
    return {
      ...plain,
      queryKeyNorm: { over: "head", rule: plain.norm },
      attention: layersByType(keys.layer_types ?? types, {
        full: { window: null, rotary: full },
        sliding: { window: keys.sliding_window, rotary: local },
      }),
    };
  },
  fresh: (shape) => ({
    ...fresh(shape),
    query_pre_attn_scalar: shape.width / shape.heads,
    sliding_window: Math.max(1, Math.floor(shape.context / 2)),
    rope_theta: 1_000_000,
    rope_local_base_freq: 10_000,
  }),
  names: namesOfFourNorms,
});
