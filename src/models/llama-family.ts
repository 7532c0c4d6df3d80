import { z } from "zod";
import { parseConfig } from "./config.ts";
import type { ModelFamily, ModelShape } from "./family.ts";
import { defineFamily } from "./family.ts";
import type { LlamaSettings } from "./llama.ts";
import { Llama } from "./llama.ts";
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

/** Llama; folders of `model_type` llama. */
export const llama: ModelFamily<LlamaSettings, Llama> = defineFamily({
  summary: "Llama: decoder-only Transformer with rotary positions, RMS norms, SwiGLU and grouped queries",
  modelType: "llama",
  shaped: (shape: ModelShape): LlamaSettings => ({
    ...shapedRotaryDecoder(shape),
    hidden: gatedHidden(4 * shape.width),
  }),
  create: (settings, init) => new Llama(settings, init),
  readConfig: (config) => readRotaryDecoder(parseConfig(LlamaConfig, config), 10_000),
  writeConfig: (settings, ids) => ({
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    ...writeRotaryDecoder(settings, ids),
    attention_bias: false,
    mlp_bias: false,
  }),
  tensors: (model) =>
    rotaryDecoderTensors(model, (path, parameter) => {
      const [, layer, field] = /^blocks\.(\d+)\.mlp\.(\w+)\.weight$/.exec(path) ?? [];
      if (layer === undefined) return null;
      const name = (part: string): string => `model.layers.${layer}.mlp.${part}_proj.weight`;
      const { hidden, width } = model.settings;
      if (field === "projection") return packedTensors(parameter, [[name("down"), width]]);
      return packedTensors(parameter, [
        [name("gate"), hidden],
        [name("up"), hidden],
      ]);
    }),
  ...rotaryDecoderNames,
});

const LlamaConfig = z.object({
  ...rotaryDecoderKeys,
  attention_bias: z.literal(false).default(false),
  mlp_bias: z.literal(false).default(false),
});
