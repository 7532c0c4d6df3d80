import { z } from "zod";
import { size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { llamaNames } from "../decoder-names.ts";
import type { DecoderSettings } from "../decoder-settings.ts";
import { freshLlama, gatedHidden } from "./llama-keys.ts";
import { qwenKeys, qwenProperties } from "./qwen2.ts";

const qwen3Keys = {
  ...qwenKeys,
  num_key_value_heads: size.nullable().default(32),
  attention_bias: z.boolean().default(false),
};

function properties(keys: z.output<z.ZodObject<typeof qwen3Keys>>): Omit<DecoderSettings, "config"> {
  const plain = qwenProperties(keys);
  const { attention_bias: bias } = keys;
  return {
    ...plain,
    queryKeyNorm: { over: "head", rule: plain.norm },
    bias: { qkv: bias, projection: bias, mlp: false, head: false },
  };
}

/** Qwen 3; folders of `model_type` qwen3. */
export const qwen3 = defineDecoder({
  summary: "Qwen 3: Llama with norms of queries and keys",
  modelType: "qwen3",
  className: "Qwen3ForCausalLM",
  keys: z.object({ ...qwen3Keys, head_dim: size.nullable().default(128) }),
  properties,
  fresh: (shape) => ({ ...freshLlama(shape), attention_bias: false, use_sliding_window: false }),
  names: llamaNames,
});

/** Qwen 3 with routed experts; folders of `model_type` qwen3_moe. */
export const qwen3Moe = defineDecoder({
  summary: "Qwen 3 with routed experts",
  modelType: "qwen3_moe",
  className: "Qwen3MoeForCausalLM",
  keys: z.object({
    ...qwen3Keys,
    num_key_value_heads: size.nullable().default(4),
    moe_intermediate_size: size.default(768),
    num_experts: size.optional(),
    num_local_experts: size.default(128),
    num_experts_per_tok: size.default(8),
    norm_topk_prob: z.boolean().default(false),
    decoder_sparse_step: size.default(1),
    mlp_only_layers: z.array(z.int().nonnegative()).nullish(),
    router_aux_loss_coef: z.number().nonnegative().default(0.001),
  }),
  properties: (keys) => ({
    ...properties(keys),
    experts: keys.num_experts ?? keys.num_local_experts,
    chosenExperts: keys.num_experts_per_tok,
    expertRule: {
      normalizesShares: keys.norm_topk_prob,
      hidden: keys.moe_intermediate_size,
      layers: Array.from(
        { length: keys.num_hidden_layers },
        (_, layer) => (layer + 1) % keys.decoder_sparse_step === 0 && !keys.mlp_only_layers?.includes(layer),
      ),
      balanceWeight: keys.router_aux_loss_coef,
      routerZWeight: 0,
    },
  }),
  fresh: (shape) => ({
    ...freshLlama(shape),
    attention_bias: false,
    moe_intermediate_size: gatedHidden(2 * shape.width),
    num_experts: 8,
    num_experts_per_tok: 2,
    norm_topk_prob: true,
    decoder_sparse_step: 1,
    mlp_only_layers: [],
    router_aux_loss_coef: 0.01,
    use_sliding_window: false,
  }),
  names: {
    ...llamaNames,
    router: "mlp.gate",
    experts: {
      gate: "mlp.experts.@.gate_proj",
      value: "mlp.experts.@.up_proj",
      projection: "mlp.experts.@.down_proj",
    },
  },
});
