import { z } from "zod";
import { size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { llamaNames } from "../decoder-names.ts";
import { freshLlama, gatedHidden, llamaKeys, llamaProperties } from "./llama-keys.ts";

const weight = z.number().nonnegative();

/** Mixtral; folders of `model_type` mixtral. A new one has as many weights at work as a Llama of its shape. */
export const mixtral = defineDecoder({
  summary: "Mixtral: Llama with routed experts, of which each token goes through two",
  modelType: "mixtral",
  className: "MixtralForCausalLM",
  keys: z
    .object({
      ...llamaKeys,
      max_position_embeddings: size.default(131_072),
      num_key_value_heads: size.nullable().default(8),
      rms_norm_eps: z.number().positive().default(1e-5),
      num_local_experts: size.default(8),
      num_experts_per_tok: size.default(2),
      router_aux_loss_coef: weight.default(0.001),
      router_z_loss_coef: weight.default(0),
      router_jitter_noise: z.literal(0).default(0),
      sliding_window: size.nullish(),
    })
    .refine((keys) => keys.num_experts_per_tok <= keys.num_local_experts, {
      path: ["num_experts_per_tok"],
      message: "must not be more than num_local_experts",
    }),
  properties: (keys) => {
    const plain = llamaProperties(keys, 1_000_000);
    return {
      ...plain,
      attention: plain.attention.map(({ rotary }) => ({ window: keys.sliding_window ?? null, rotary })),
      experts: keys.num_local_experts,
      chosenExperts: keys.num_experts_per_tok,
      expertRule: {
        normalizesShares: true,
        hidden: keys.intermediate_size,
        layers: new Array<boolean>(keys.num_hidden_layers).fill(true),
        balanceWeight: keys.router_aux_loss_coef,
        routerZWeight: keys.router_z_loss_coef,
      },
    };
  },
  fresh: (shape) => ({
    ...freshLlama(shape),
    intermediate_size: gatedHidden(2 * shape.width),
    num_local_experts: 8,
    num_experts_per_tok: 2,
    router_aux_loss_coef: 0.01,
    router_z_loss_coef: 0,
    router_jitter_noise: 0,
    output_router_logits: false,
    sliding_window: null,
  }),
  names: {
    ...llamaNames,
    router: "block_sparse_moe.gate",
    experts: {
      gate: "block_sparse_moe.experts.@.w1",
      value: "block_sparse_moe.experts.@.w3",
      projection: "block_sparse_moe.experts.@.w2",
    },
  },
});
