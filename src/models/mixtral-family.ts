import { z } from "zod";
import { parseConfig } from "./config.ts";
import type { ModelFamily, ModelShape } from "./family.ts";
import { defineFamily } from "./family.ts";
import type { MixtralSettings } from "./mixtral.ts";
import { Mixtral } from "./mixtral.ts";
import { packedTensors } from "./packed-tensors.ts";
import {
  gatedHidden,
  readRotaryDecoder,
  rotaryDecoderKeys,
  rotaryDecoderNames,
  rotaryDecoderTensors,
  shapedRotaryDecoder,
  writeRotaryDecoder,
} from "./rotary-decoder.ts";

/** Mixtral; folders of `model_type` mixtral. */
export const mixtral: ModelFamily<MixtralSettings, Mixtral> = defineFamily({
  summary: "Mixtral: Llama with routed experts, of which each token goes through two",
  modelType: "mixtral",
  /** Eight experts, each half as wide as Llama's layer, two of them chosen: as many weights at work as in a Llama. */
  shaped: (shape: ModelShape): MixtralSettings => ({
    ...shapedRotaryDecoder(shape),
    hidden: gatedHidden(2 * shape.width),
    experts: 8,
    chosenExperts: 2,
    balanceWeight: 0.01,
    routerZWeight: 0,
  }),
  create: (settings, init) => new Mixtral(settings, init),
  readConfig(config) {
    const keys = parseConfig(MixtralConfig, config);
    return {
      ...readRotaryDecoder(keys, 1_000_000),
      experts: keys.num_local_experts,
      chosenExperts: keys.num_experts_per_tok,
      balanceWeight: keys.router_aux_loss_coef,
      routerZWeight: keys.router_z_loss_coef,
    };
  },
  writeConfig: (settings, ids) => ({
    architectures: ["MixtralForCausalLM"],
    model_type: "mixtral",
    ...writeRotaryDecoder(settings, ids),
    num_local_experts: settings.experts,
    num_experts_per_tok: settings.chosenExperts,
    router_aux_loss_coef: settings.balanceWeight,
    router_z_loss_coef: settings.routerZWeight,
    router_jitter_noise: 0,
    output_router_logits: false,
    sliding_window: null,
  }),
  tensors: (model) =>
    rotaryDecoderTensors(model, (path, parameter) => {
      const [, layer, field] = /^blocks\.(\d+)\.experts\.(\w+)/.exec(path) ?? [];
      if (layer === undefined) return null;
      const { experts, hidden, width } = model.settings;
      const block = `model.layers.${layer}.block_sparse_moe`;
      if (field === "router") return packedTensors(parameter, [[`${block}.gate.weight`, experts]]);
      const parts: readonly [string, number][] =
        field === "projection"
          ? [["w2", width]]
          : [
              ["w1", hidden],
              ["w3", hidden],
            ];
      const all = Array.from({ length: experts }, (_, expert) =>
        parts.map(([part, rows]): [string, number] => [`${block}.experts.${expert}.${part}.weight`, rows]),
      );
      return packedTensors(parameter, all.flat());
    }),
  ...rotaryDecoderNames,
});

const size = z.int().positive();
const weight = z.number().nonnegative();

const MixtralConfig = z
  .object({
    ...rotaryDecoderKeys,
    max_position_embeddings: size.default(131_072),
    num_key_value_heads: size.nullable().default(8),
    rms_norm_eps: z.number().positive().default(1e-5),
    num_local_experts: size.default(8),
    num_experts_per_tok: size.default(2),
    router_aux_loss_coef: weight.default(0.001),
    router_z_loss_coef: weight.default(0),
    router_jitter_noise: z.literal(0).default(0),
    /** A Mixtral that was made with windows is none of ours, even where they hold all of its context. */
    sliding_window: z
      .number()
      .nullish()
      .refine((window) => window == null, "windows of attention are not supported"),
  })
  .refine((keys) => keys.num_experts_per_tok <= keys.num_local_experts, {
    path: ["num_experts_per_tok"],
    message: "must not be more than num_local_experts",
  });
