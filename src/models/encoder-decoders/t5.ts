import { z } from "zod";
import type { Activation } from "../../backend/functions.ts";
import { layerCount, rate, size, tokenId } from "../config-numbers.ts";
import type { EncoderDecoderFamily } from "../encoder-decoder-family.ts";
import { defineEncoderDecoder, firstId, writingKeys } from "../encoder-decoder-family.ts";
import type { EncoderDecoderSettings } from "../encoder-decoder-settings.ts";
import type { ModelConfig, ModelShape } from "../family.ts";

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

const keys = z.object({
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
  dropout_rate: rate.default(0.1),
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
  pad_token_id: tokenId.default(0),
  eos_token_id: firstId.default(1),
  decoder_start_token_id: tokenId.default(0),
  ...writingKeys,
});

/** @param canScale - Whether what the output layer reads is divided by √width where config keys say so. */
function properties(read: z.output<typeof keys>, canScale: boolean): Omit<EncoderDecoderSettings, "config"> {
  const { d_model: width, d_kv: headDim, num_heads: heads, d_ff: hidden, initializer_factor: factor } = read;
  const dropped = read.dropout_rate;
  const gated = read.feed_forward_proj.startsWith("gated-");
  const activation = read.feed_forward_proj.replace("gated-", "") as keyof typeof activations;
  const isScaled = canScale && (read.scale_decoder_outputs ?? read.tie_word_embeddings);
  return {
    ...{ vocabularySize: read.vocab_size, context: read.n_positions, width, heads, headDim, hidden },
    layers: read.num_layers,
    decoderLayers: read.num_decoder_layers ?? read.num_layers,
    activation: (gated ? gatedActivations : activations)[activation],
    gated,
    norm: { kind: "rms", epsilon: read.layer_norm_epsilon },
    normsBefore: true,
    embeddingNorm: false,
    bias: false,
    positions: {
      kind: "relative",
      buckets: read.relative_attention_num_buckets,
      maxDistance: read.relative_attention_max_distance,
    },
    attentionScale: 1, // queries begin smaller instead
    scales: { embedding: 1, output: isScaled ? 1 / Math.sqrt(width) : 1 },
    tiedEmbeddings: read.tie_word_embeddings,
    outputBias: false,
    dropout: { residual: dropped, attention: dropped, activation: dropped, output: dropped },
    deviations: {
      embedding: factor,
      query: factor / Math.sqrt(width * headDim),
      inward: factor / Math.sqrt(width),
      mixed: factor / Math.sqrt(heads * headDim),
      outward: factor / Math.sqrt(hidden),
    },
    padding: read.pad_token_id,
    decoderStart: read.decoder_start_token_id,
    endOfText: read.eos_token_id,
    firstToken: read.forced_bos_token_id,
    lastToken: null,
    neverWritten: read.bad_words_ids,
  };
}

/** Version 1.1 but for the output layer, which a small model is better off sharing; layers are those of each stack. */
function fresh(shape: ModelShape): ModelConfig {
  return {
    vocab_size: shape.vocabularySize,
    n_positions: shape.context,
    d_model: shape.width,
    d_kv: Math.ceil(shape.width / shape.heads),
    d_ff: Math.ceil((8 * shape.width) / 3 / 16) * 16,
    num_layers: shape.layers,
    num_decoder_layers: shape.layers,
    num_heads: shape.heads,
    relative_attention_num_buckets: 32,
    relative_attention_max_distance: 128,
    dropout_rate: shape.dropout,
    layer_norm_epsilon: 1e-6,
    initializer_factor: 1,
    feed_forward_proj: "gated-gelu",
    dense_act_fn: "gelu_new",
    is_gated_act: true,
    tie_word_embeddings: true,
  };
}

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

function family(
  {
    modelType,
    className,
    summary,
  }: Pick<EncoderDecoderFamily, "modelType" | "summary"> & { readonly className: string },
  canScale: boolean,
): EncoderDecoderFamily {
  return defineEncoderDecoder({
    ...{ summary, modelType, className, keys, fresh },
    properties: (read) => properties(read, canScale),
    written: ({ scales }) => (canScale ? { scale_decoder_outputs: scales.output !== 1 } : {}),
    names: {
      renamings,
      qkv: ["q", "k", "v"],
      gateAndValue: ["wi_0", "wi_1"],
      ownHead: { embedding: "shared.weight", head: "lm_head.weight" },
      optionalPrefix: "model.",
      ignored:
        /^(lm_head\.weight|(en|de)coder\.embed_tokens\.weight|decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight)$/,
    },
  });
}

/** T5, of the first version or 1.1 (Flan-T5 too); folders of `model_type` t5. */
export const t5 = family(
  {
    modelType: "t5",
    className: "T5ForConditionalGeneration",
    summary: "T5: encoder-decoder that turns one text into another",
  },
  true,
);

/** mT5, which is T5 1.1 with a vocabulary for a hundred languages. */
export const mt5 = family(
  { modelType: "mt5", className: "MT5ForConditionalGeneration", summary: "mT5: T5 for a hundred languages" },
  false,
);
