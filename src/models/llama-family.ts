import { z } from "zod";
import { parameters } from "../nn/parameters.ts";
import { parseConfig } from "./config.ts";
import type { ModelFamily, ModelShape } from "./family.ts";
import { defineFamily } from "./family.ts";
import type { LlamaSettings } from "./llama.ts";
import { Llama } from "./llama.ts";
import { packedTensors } from "./packed-tensors.ts";
import { readRotary, rotaryKeys, writeRotary } from "./rotary-config.ts";
import {
  gatedHidden,
  readRotaryDecoder,
  rotaryDecoderKeys,
  rotaryDecoderTensors,
  shapedRotaryDecoder,
  writeRotaryDecoder,
} from "./rotary-decoder.ts";

/** Llama; folders of `model_type` llama. */
export const llama: ModelFamily<LlamaSettings, Llama> = defineFamily({
  summary: "Llama: decoder-only Transformer with rotary positions, RMS norms, SwiGLU and grouped queries",
  modelType: "llama",
  shaped: (shape: ModelShape): LlamaSettings => ({
    ...shapedRotaryDecoder(shape),
    hidden: gatedHidden(4 * shape.width),
    rotaryBase: 10_000,
    rotaryScaling: null,
  }),
  create: (settings, init) => new Llama(settings, init),
  readConfig(config) {
    const keys = parseConfig(LlamaConfig, config);
    const { base, scaling } = readRotary(keys, 10_000);
    return { ...readRotaryDecoder(keys), rotaryBase: base, rotaryScaling: scaling };
  },
  writeConfig: (settings, ids) => ({
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    ...writeRotaryDecoder(settings, ids),
    ...writeRotary(settings.rotaryBase, settings.rotaryScaling),
    attention_bias: false,
    mlp_bias: false,
  }),
  tensors: (model) =>
    [...parameters(model)].flatMap(([path, parameter]) => {
      const [, layer, field] = /^blocks\.(\d+)\.mlp\.(\w+)\.weight$/.exec(path) ?? [];
      if (layer === undefined) return rotaryDecoderTensors(path, parameter, model.settings);
      const name = (part: string): string => `model.layers.${layer}.mlp.${part}_proj.weight`;
      const { hidden, width } = model.settings;
      if (field === "projection") return packedTensors(parameter, [[name("down"), width]]);
      return packedTensors(parameter, [
        [name("gate"), hidden],
        [name("up"), hidden],
      ]);
    }),
  optionalPrefix: "model.",
  ignoredTensors: /^(lm_head\.weight|.*rotary_emb\.inv_freq)$/,
});

const LlamaConfig = z.object({
  ...rotaryDecoderKeys,
  ...rotaryKeys,
  attention_bias: z.literal(false).default(false),
  mlp_bias: z.literal(false).default(false),
});
