import { z } from "zod";
import { ActivationName } from "../activation-names.ts";
import { rate, size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { llamaNames } from "../decoder-names.ts";
import { readRotary } from "../rotary-config.ts";
import { everyLayer, freshLlama, llamaKeys, llamaProperties } from "./llama-keys.ts";

/** Phi 1, 1.5 and 2; folders of `model_type` phi. */
export const phi = defineDecoder({
  summary: "Phi 1 and 2: parallel sub-layers with one layer norm, part of each head turning, biases everywhere",
  modelType: "phi",
  className: "PhiForCausalLM",
  keys: z.object({
    ...llamaKeys,
    hidden_act: ActivationName.default("gelu_new"),
    layer_norm_eps: z.number().positive().default(1e-5),
    resid_pdrop: rate.default(0),
    embd_pdrop: rate.default(0),
    qk_layernorm: z.boolean().default(false),
  }),
  properties(keys) {
    const plain = llamaProperties(keys);
    const rotary = readRotary(keys, { headDim: plain.headDim, context: plain.context, base: 10_000, share: 0.5 });
    const norm = { kind: "layer", epsilon: keys.layer_norm_eps, gain: true, bias: true } as const;
    return {
      ...plain,
      ...{ norm, gated: false, parallel: true, sharedNorm: true },
      queryKeyNorm: keys.qk_layernorm ? { over: "head", rule: norm } : null,
      bias: { qkv: true, projection: true, mlp: true, head: true },
      attention: everyLayer(plain.layers, { window: null, rotary }),
      dropout: { ...plain.dropout, embedding: keys.embd_pdrop, residual: keys.resid_pdrop },
    };
  },
  fresh: (shape) => ({
    ...freshLlama(shape),
    intermediate_size: 4 * shape.width,
    num_key_value_heads: shape.heads,
    hidden_act: "gelu_new",
    layer_norm_eps: 1e-5,
    partial_rotary_factor: (shape.width / shape.heads) % 4 === 0 ? 0.5 : 1,
    tie_word_embeddings: false,
  }),
  names: {
    ...llamaNames,
    finalNorm: "model.final_layernorm",
    projection: "self_attn.dense",
    queryNorm: "self_attn.q_layernorm",
    keyNorm: "self_attn.k_layernorm",
    expansion: "mlp.fc1",
    mlpProjection: "mlp.fc2",
  },
});

/** Phi 3, 3.5, 4 and 4-mini; folders of `model_type` phi3. */
export const phi3 = defineDecoder({
  summary: "Phi 3 and 4: Llama with packed projections, a long context by scaled positions, and windows in some",
  modelType: "phi3",
  className: "Phi3ForCausalLM",
  keys: z.object({
    ...llamaKeys,
    max_position_embeddings: size.default(4096),
    rms_norm_eps: z.number().positive().default(1e-5),
    resid_pdrop: rate.default(0),
    embd_pdrop: rate.default(0),
    sliding_window: size.nullish(),
    attention_bias: z.literal(false).default(false),
  }),
  properties(keys) {
    const plain = llamaProperties(keys);
    return {
      ...plain,
      attention: plain.attention.map(({ rotary }) => ({ rotary, window: keys.sliding_window ?? null })),
      dropout: { ...plain.dropout, residual: keys.resid_pdrop },
    };
  },
  fresh: (shape) => ({ ...freshLlama(shape), sliding_window: null }),
  names: {
    ...llamaNames,
    qkv: { packed: "self_attn.qkv_proj", order: "by-kind" },
    gateAndValue: ["mlp.gate_up_proj"],
  },
});
