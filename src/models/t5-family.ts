import { z } from "zod";
import type { Activation } from "../backend/kernels.ts";
import type { Parameter } from "../nn/parameters.ts";
import { parameters } from "../nn/parameters.ts";
import { parseConfig } from "./config.ts";
import { layerCount, size } from "./config-numbers.ts";
import type { ModelFamily, ModelShape, TensorBinding } from "./family.ts";
import { defineFamily } from "./family.ts";
import { packedTensors } from "./packed-tensors.ts";
import type { T5Settings } from "./t5.ts";
import { T5 } from "./t5.ts";

/** T5, of the first version or 1.1; folders of `model_type` t5. */
export const t5: ModelFamily<T5Settings, T5> = defineFamily({
  summary: "T5: encoder-decoder that turns one text into another",
  modelType: "t5",
  architecture: "encoder-decoder",
  shaped,
  create: (settings, init) => new T5(settings, init),
  readConfig,
  writeConfig,
  tensors: (model) => [...parameters(model)].flatMap(([path, parameter]) => bindings(path, parameter, model.settings)),
  optionalPrefix: "model.",
  ownHead: { embedding: "shared.weight", head: "lm_head.weight" },
  ignoredTensors:
    /^(lm_head\.weight|(en|de)coder\.embed_tokens\.weight|decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight)$/,
});

/** What `feed_forward_proj` can name, with or without `gated-` before it. */
const activations = {
  relu: "relu",
  gelu: "gelu",
  gelu_new: "geluTanh",
  silu: "silu",
  tanh: "tanh",
} as const satisfies Record<string, Activation>;

/** `gated-gelu` means the approximation, since the first folders were written so. */
const gatedActivations = { ...activations, gelu: "geluTanh" } as const;

const id = z.int().nonnegative();

const T5Config = z.object({
  vocab_size: size,
  d_model: size,
  d_kv: size.default(64),
  d_ff: size,
  num_layers: layerCount,
  num_decoder_layers: layerCount.nullish(),
  num_heads: size,
  n_positions: size.default(512),
  relative_attention_num_buckets: size.min(4).default(32),
  relative_attention_max_distance: size.default(128),
  dropout_rate: z.number().min(0).lt(1).default(0.1),
  layer_norm_epsilon: z.number().positive().default(1e-6),
  initializer_factor: z.number().positive().default(1),
  feed_forward_proj: z
    .string()
    .regex(/^(gated-)?(relu|gelu|gelu_new|silu|tanh)$/, "must be relu, gelu, gelu_new, silu, tanh, or gated- and one")
    .default("relu"),
  tie_word_embeddings: z.boolean().default(true),
  /** Releases of the library before this key scale where the config says tied, later ones say tied of every model. */
  scale_decoder_outputs: z.boolean().nullish(),
  is_encoder_decoder: z.literal(true).default(true),
  pad_token_id: id.default(0),
  /** Of several, the first is the one that ends a text in training. */
  eos_token_id: z
    .union([id, z.array(id).transform(([first = null]) => first)])
    .nullable()
    .default(1),
  decoder_start_token_id: id.default(0),
});

function readConfig(config: Record<string, unknown>): T5Settings {
  const keys = parseConfig(T5Config, config);
  const gated = keys.feed_forward_proj.startsWith("gated-");
  const activation = keys.feed_forward_proj.replace("gated-", "") as keyof typeof activations;
  return {
    vocabularySize: keys.vocab_size,
    context: keys.n_positions,
    width: keys.d_model,
    layers: keys.num_layers,
    decoderLayers: keys.num_decoder_layers ?? keys.num_layers,
    heads: keys.num_heads,
    headDim: keys.d_kv,
    hidden: keys.d_ff,
    activation: (gated ? gatedActivations : activations)[activation],
    gated,
    dropout: keys.dropout_rate,
    buckets: keys.relative_attention_num_buckets,
    maxDistance: keys.relative_attention_max_distance,
    normEpsilon: keys.layer_norm_epsilon,
    tiedEmbeddings: keys.tie_word_embeddings,
    scaledOutput: keys.scale_decoder_outputs ?? keys.tie_word_embeddings,
    initialScale: keys.initializer_factor,
    padding: keys.pad_token_id,
    decoderStart: keys.decoder_start_token_id,
    endOfText: keys.eos_token_id,
  };
}

function writeConfig(settings: T5Settings): Record<string, unknown> {
  const names = Object.entries(settings.gated ? gatedActivations : activations);
  const name = names.find(([, activation]) => activation === settings.activation)?.[0] ?? "relu";
  return {
    architectures: ["T5ForConditionalGeneration"],
    model_type: "t5",
    vocab_size: settings.vocabularySize,
    n_positions: settings.context,
    d_model: settings.width,
    d_kv: settings.headDim,
    d_ff: settings.hidden,
    num_layers: settings.layers,
    num_decoder_layers: settings.decoderLayers,
    num_heads: settings.heads,
    relative_attention_num_buckets: settings.buckets,
    relative_attention_max_distance: settings.maxDistance,
    dropout_rate: settings.dropout,
    layer_norm_epsilon: settings.normEpsilon,
    initializer_factor: settings.initialScale,
    feed_forward_proj: settings.gated ? `gated-${name}` : name,
    dense_act_fn: settings.gated && name === "gelu" ? "gelu_new" : name,
    is_gated_act: settings.gated,
    is_encoder_decoder: true,
    tie_word_embeddings: settings.tiedEmbeddings,
    scale_decoder_outputs: settings.scaledOutput ?? settings.tiedEmbeddings,
    pad_token_id: settings.padding,
    eos_token_id: settings.endOfText,
    decoder_start_token_id: settings.decoderStart,
  };
}

/** Version 1.1 but for the output layer, which a small model is better off sharing; layers are those of each stack. */
function shaped(shape: ModelShape): T5Settings {
  return {
    ...shape,
    decoderLayers: shape.layers,
    headDim: Math.ceil(shape.width / shape.heads),
    hidden: Math.ceil((8 * shape.width) / 3 / 16) * 16,
    activation: "geluTanh",
    gated: true,
    buckets: 32,
    maxDistance: 128,
    normEpsilon: 1e-6,
    tiedEmbeddings: true,
    scaledOutput: true,
    initialScale: 1,
    padding: 0,
    decoderStart: 0,
    endOfText: 1,
  };
}

/** Field paths of {@link T5} and what they are called in its folders, applied in order. */
const renamings = [
  [/^tokenEmbedding$/, "shared.weight"],
  [/^head$/, "lm_head.weight"],
  [/^(en|de)coder\.bias\.table$/, "$1coder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"],
  [/^(en|de)coder\.finalNorm/, "$1coder.final_layer_norm"],
  [/\.blocks\./, ".block."],
  [/\.attentionNorm/, ".layer.0.layer_norm"],
  [/\.attention\.qkv/, ".layer.0.SelfAttention.qkv"],
  [/\.attention\.projection/, ".layer.0.SelfAttention.o"],
  [/\.crossNorm/, ".layer.1.layer_norm"],
  [/\.cross\.query/, ".layer.1.EncDecAttention.q"],
  [/\.cross\.key/, ".layer.1.EncDecAttention.k"],
  [/\.cross\.value/, ".layer.1.EncDecAttention.v"],
  [/\.cross\.projection/, ".layer.1.EncDecAttention.o"],
  [/^(encoder.*)\.mlpNorm/, "$1.layer.1.layer_norm"],
  [/^(decoder.*)\.mlpNorm/, "$1.layer.2.layer_norm"],
  [/^(encoder.*)\.mlp\./, "$1.layer.1.DenseReluDense."],
  [/^(decoder.*)\.mlp\./, "$1.layer.2.DenseReluDense."],
  [/DenseReluDense\.expansion/, "DenseReluDense.wi"],
  [/DenseReluDense\.projection/, "DenseReluDense.wo"],
  [/\.gain$/, ".weight"],
] as const;

function bindings(path: string, parameter: Parameter, { heads, headDim, hidden }: T5Settings): TensorBinding[] {
  const name = renamings.reduce((text, [from, to]) => text.replace(from, to), path);
  const parts = (packed: string, names: readonly string[], rows: number): TensorBinding[] =>
    packedTensors(
      parameter,
      names.map((part) => [name.replace(packed, part), rows]),
    );
  if (name.includes(".qkv.")) return parts("qkv", ["q", "k", "v"], heads * headDim);
  if (name.includes(".gateAndValue.")) return parts("gateAndValue", ["wi_0", "wi_1"], hidden);
  return [{ name, parameter, transposed: false }];
}
