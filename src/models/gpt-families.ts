import { z } from "zod";
import { parameters } from "../nn/parameters.ts";
import { ActivationName, activationNamed, nameOfActivation } from "./activation-names.ts";
import { parseConfig } from "./config.ts";
import { layerCount, rate, size } from "./config-numbers.ts";
import type { ModelFamily, ModelShape, TensorBinding } from "./family.ts";
import { defineFamily } from "./family.ts";
import type { GptSettings } from "./gpt.ts";
import { Gpt } from "./gpt.ts";

/** GPT-1: norms after the residual sums; folders of `model_type` openai-gpt. */
export const gpt1: ModelFamily<GptSettings, Gpt> = defineFamily({
  summary: "GPT-1: decoder-only Transformer, norm after each residual sum",
  modelType: "openai-gpt",
  shaped: (shape) => shapedGpt(shape, "after"),
  create: (settings, init) => new Gpt(settings, init),
  readConfig(config) {
    const keys = parseConfig(Gpt1Config, config);
    return {
      ...sharedSettings(keys),
      normPosition: "after",
      hidden: 4 * keys.n_embd,
      activation: ({ gelu: "geluTanh", relu: "relu", silu: "silu", swish: "silu" } as const)[keys.afn],
    };
  },
  writeConfig: (settings) => ({
    architectures: ["OpenAIGPTLMHeadModel"],
    model_type: "openai-gpt",
    ...sharedConfig(settings),
    afn: settings.activation === "geluTanh" ? "gelu" : settings.activation,
  }),
  tensors: (model) => bindings(model, { token: "tokens_embed", position: "positions_embed" }),
  optionalPrefix: "transformer.",
  ignoredTensors: /^(lm_head\.weight|(transformer\.)?(position_ids|h\.\d+\.attn\.bias))$/,
  ownHead: { embedding: "transformer.tokens_embed.weight", head: "lm_head.weight" },
});

/** GPT-2: norms at each sub-layer's input and at the end; folders of `model_type` gpt2. */
export const gpt2: ModelFamily<GptSettings, Gpt> = defineFamily({
  summary: "GPT-2: decoder-only Transformer, norm at the input of each sub-layer",
  modelType: "gpt2",
  shaped: (shape) => shapedGpt(shape, "before"),
  create: (settings, init) => new Gpt(settings, init),
  readConfig(config) {
    const keys = parseConfig(Gpt2Config, config);
    const hidden = keys.n_inner ?? 4 * keys.n_embd;
    return {
      ...sharedSettings(keys),
      normPosition: "before",
      hidden,
      activation: activationNamed(keys.activation_function),
    };
  },
  writeConfig: (settings, { beginOfText, endOfText }) => ({
    architectures: ["GPT2LMHeadModel"],
    model_type: "gpt2",
    ...sharedConfig(settings),
    n_inner: settings.hidden === 4 * settings.width ? null : settings.hidden,
    activation_function: nameOfActivation(settings.activation),
    scale_attn_weights: true,
    scale_attn_by_inverse_layer_idx: false,
    reorder_and_upcast_attn: false,
    bos_token_id: beginOfText ?? endOfText,
    eos_token_id: endOfText,
  }),
  tensors: (model) => bindings(model, { token: "wte", position: "wpe" }),
  optionalPrefix: "transformer.",
  ignoredTensors: /^(lm_head\.weight|(transformer\.)?h\.\d+\.attn\.(masked_)?bias)$/,
  ownHead: { embedding: "transformer.wte.weight", head: "lm_head.weight" },
});

const sharedKeys = {
  vocab_size: size,
  n_positions: size,
  n_embd: size,
  n_layer: layerCount,
  n_head: size,
  resid_pdrop: rate.default(0.1),
  embd_pdrop: rate.default(0.1),
  attn_pdrop: rate.default(0.1),
  layer_norm_epsilon: z.number().positive().default(1e-5),
  initializer_range: z.number().positive().default(0.02),
  tie_word_embeddings: z.boolean().default(true),
};

const Gpt1Config = z.object({
  ...sharedKeys,
  afn: z.enum(["gelu", "relu", "silu", "swish"]).default("gelu"),
});

const Gpt2Config = z.object({
  ...sharedKeys,
  n_inner: size.nullish(),
  activation_function: ActivationName.default("gelu_new"),
  scale_attn_weights: z.literal(true).default(true),
  scale_attn_by_inverse_layer_idx: z.literal(false).default(false),
});

type SharedKeys = z.infer<z.ZodObject<typeof sharedKeys>>;

function sharedSettings(keys: SharedKeys): Omit<GptSettings, "normPosition" | "hidden" | "activation"> {
  return {
    vocabularySize: keys.vocab_size,
    context: keys.n_positions,
    width: keys.n_embd,
    layers: keys.n_layer,
    heads: keys.n_head,
    embeddingDropout: keys.embd_pdrop,
    attentionDropout: keys.attn_pdrop,
    residualDropout: keys.resid_pdrop,
    normEpsilon: keys.layer_norm_epsilon,
    tiedEmbeddings: keys.tie_word_embeddings,
    initializerRange: keys.initializer_range,
  };
}

function sharedConfig(settings: GptSettings): SharedKeys {
  return {
    vocab_size: settings.vocabularySize,
    n_positions: settings.context,
    n_embd: settings.width,
    n_layer: settings.layers,
    n_head: settings.heads,
    resid_pdrop: settings.residualDropout,
    embd_pdrop: settings.embeddingDropout,
    attn_pdrop: settings.attentionDropout,
    layer_norm_epsilon: settings.normEpsilon,
    initializer_range: settings.initializerRange,
    tie_word_embeddings: settings.tiedEmbeddings,
  };
}

function shapedGpt(shape: ModelShape, normPosition: GptSettings["normPosition"]): GptSettings {
  const { dropout, ...sizes } = shape;
  return {
    ...sizes,
    normPosition,
    hidden: 4 * shape.width,
    activation: "geluTanh",
    embeddingDropout: dropout,
    attentionDropout: dropout,
    residualDropout: dropout,
    normEpsilon: 1e-5,
    tiedEmbeddings: true,
    initializerRange: 0.02,
  };
}

/** Field paths of {@link Gpt} and what they are called in its folders, applied in order. */
const renamings = [
  ["blocks.", "h."],
  ["attentionNorm", "ln_1"],
  ["attention.qkv", "attn.c_attn"],
  ["attention.projection", "attn.c_proj"],
  ["mlpNorm", "ln_2"],
  ["mlp.expansion", "mlp.c_fc"],
  ["mlp.projection", "mlp.c_proj"],
  ["finalNorm", "ln_f"],
  [".gain", ".weight"],
] as const;

function bindings(model: Gpt, embeddings: { token: string; position: string }): TensorBinding[] {
  return [...parameters(model)].map(([path, parameter]) => {
    const name = renamings
      .reduce((text, [from, to]) => text.replace(from, to), path)
      .replace("tokenEmbedding", `${embeddings.token}.weight`)
      .replace("positionEmbedding", `${embeddings.position}.weight`);
    if (path === "head") return { name: "lm_head.weight", parameter, transposed: false };
    const transposed = /\.c_\w+\.weight$/.test(name); // these folders store linear maps as [in, out]
    return { name: `transformer.${name}`, parameter, transposed };
  });
}
