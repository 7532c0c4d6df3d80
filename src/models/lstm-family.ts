import { z } from "zod";
import { parameters } from "../nn/parameters.ts";
import { parseConfig } from "./config.ts";
import { layerCount, rate, size } from "./config-numbers.ts";
import type { ModelFamily } from "./family.ts";
import { defineFamily } from "./family.ts";
import type { LstmSettings } from "./lstm.ts";
import { Lstm } from "./lstm.ts";

/** LSTM language model; folders of `model_type` lstm, with the tensor names of PyTorch's `nn.LSTM`. */
export const lstm: ModelFamily<LstmSettings, Lstm> = defineFamily({
  summary: "LSTM: recurrent language model, the baseline before attention",
  modelType: "lstm",
  hasHeads: false,
  shaped: ({ vocabularySize, context, width, layers, dropout }) => ({
    ...{ vocabularySize, context, width, layers, dropout },
    initializerRange: 0.1,
  }),
  create: (settings, init) => new Lstm(settings, init),
  readConfig(config) {
    const keys = parseConfig(LstmConfig, config);
    return {
      vocabularySize: keys.vocab_size,
      context: keys.max_position_embeddings,
      width: keys.hidden_size,
      layers: keys.num_layers,
      dropout: keys.dropout,
      initializerRange: keys.initializer_range,
    };
  },
  writeConfig: (settings, { endOfText }) => ({
    architectures: ["LstmLMHeadModel"],
    model_type: "lstm",
    vocab_size: settings.vocabularySize,
    max_position_embeddings: settings.context,
    hidden_size: settings.width,
    num_layers: settings.layers,
    dropout: settings.dropout,
    initializer_range: settings.initializerRange,
    tie_word_embeddings: true,
    eos_token_id: endOfText,
  }),
  tensors: (model) =>
    [...parameters(model)].map(([path, parameter]) => ({ name: nameOf(path), parameter, transposed: false })),
  optionalPrefix: "model.",
  ignoredTensors: /^$/,
});

const LstmConfig = z.object({
  vocab_size: size,
  max_position_embeddings: size.default(1024),
  hidden_size: size,
  num_layers: layerCount,
  dropout: rate.default(0),
  initializer_range: z.number().positive().default(0.1),
  tie_word_embeddings: z.literal(true).default(true),
});

const kinds: Readonly<Record<string, string>> = {
  inputWeight: "weight_ih",
  recurrentWeight: "weight_hh",
  inputBias: "bias_ih",
  recurrentBias: "bias_hh",
};

function nameOf(path: string): string {
  if (path === "tokenEmbedding") return "embedding.weight";
  if (path === "outputBias") return "output_bias";
  return path.replace(/^layers\.(\d+)\.(\w+)$/, (_, layer, field) => `lstm.${kinds[field]}_l${layer}`);
}
