import { z } from "zod";
import { CheckpointError } from "../core/errors.ts";
import { ActivationName, activationNamed, nameOfActivation } from "./activation-names.ts";
import type { BertSettings } from "./bert.ts";
import { parseConfig } from "./config.ts";
import { layerCount, rate, size, tokenId } from "./config-numbers.ts";
import { encoderFamily } from "./encoder-family.ts";
import type { ModelConfig, ModelShape } from "./family.ts";

const base = z.number().positive();
const off = z.literal(false).default(false);
const none = z.literal(0).default(0);
const rotary = z.object({ rope_theta: base.optional(), rope_type: z.literal("default").default("default") });

const kinds = ["full_attention", "sliding_attention"] as const;

const ModernBertConfig = z.object({
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  hidden_activation: ActivationName.default("gelu"),
  max_position_embeddings: size.default(8192),
  initializer_range: base.default(0.02),
  norm_eps: base.default(1e-5),
  norm_bias: off,
  attention_bias: off,
  mlp_bias: off,
  classifier_bias: off,
  decoder_bias: z.literal(true).default(true),
  embedding_dropout: none,
  attention_dropout: none,
  mlp_dropout: none,
  classifier_dropout: rate.default(0),
  classifier_activation: ActivationName.default("gelu"),
  classifier_pooling: z.enum(["cls", "mean"]).default("cls"),
  /** Tokens that one of a local layer sees, half to each side. */
  local_attention: size.default(128),
  layer_types: z.array(z.enum(kinds)).nullish(),
  global_attn_every_n_layers: size.default(3),
  rope_parameters: z.object({ full_attention: rotary.nullish(), sliding_attention: rotary.nullish() }).nullish(),
  global_rope_theta: base.default(160_000),
  local_rope_theta: base.nullable().default(10_000),
  pad_token_id: tokenId.nullish(),
  tie_word_embeddings: z.boolean().default(true),
});
type ModernBertKeys = z.infer<typeof ModernBertConfig>;

const properties = {
  positionOffset: 0,
  segments: 0,
  embeddingWidth: null,
  nextSentence: false,
  sharesHead: true,
  dropout: 0,
  attentionDropout: 0,
} as const;

function turningOf(keys: ModernBertKeys): NonNullable<BertSettings["turning"]> {
  const { num_hidden_layers: layers, global_attn_every_n_layers: every, rope_parameters: newer } = keys;
  const types = keys.layer_types ?? Array.from({ length: layers }, (_, i) => (i % every === 0 ? kinds[0] : kinds[1]));
  if (types.length !== layers) {
    throw new CheckpointError(
      `config.json: layer_types has ${types.length} entries, there are ${layers} layers; correct the file or fetch it again`,
    );
  }
  const far = newer?.full_attention?.rope_theta ?? keys.global_rope_theta;
  const near = newer?.sliding_attention?.rope_theta ?? keys.local_rope_theta ?? far;
  const reach = Math.floor(keys.local_attention / 2);
  return types.map((type) => (type === "full_attention" ? { reach: null, base: far } : { reach, base: near }));
}

function readModernBert(keys: ModernBertKeys): BertSettings {
  return {
    ...properties,
    vocabularySize: keys.vocab_size,
    context: keys.max_position_embeddings,
    width: keys.hidden_size,
    layers: keys.num_hidden_layers,
    heads: keys.num_attention_heads,
    hidden: keys.intermediate_size,
    activation: activationNamed(keys.hidden_activation),
    wordActivation: activationNamed(keys.classifier_activation),
    poolerActivation: activationNamed(keys.classifier_activation),
    summary: keys.classifier_pooling,
    turning: turningOf(keys),
    classifierDropout: keys.classifier_dropout,
    normEpsilon: keys.norm_eps,
    tiedEmbeddings: keys.tie_word_embeddings,
    initializerRange: keys.initializer_range,
    padding: keys.pad_token_id ?? 0,
  };
}

function writeModernBert(settings: BertSettings): ModelConfig {
  const turning = settings.turning ?? [];
  const near = turning.find(({ reach }) => reach !== null);
  const far = turning.find(({ reach }) => reach === null);
  const [globalBase, localBase] = [far?.base ?? near?.base ?? 1, near?.base ?? far?.base ?? 1];
  return {
    model_type: "modernbert",
    vocab_size: settings.vocabularySize,
    hidden_size: settings.width,
    intermediate_size: settings.hidden,
    num_hidden_layers: settings.layers,
    num_attention_heads: settings.heads,
    hidden_activation: nameOfActivation(settings.activation),
    max_position_embeddings: settings.context,
    initializer_range: settings.initializerRange,
    norm_eps: settings.normEpsilon,
    classifier_dropout: settings.classifierDropout,
    classifier_activation: nameOfActivation(settings.poolerActivation),
    classifier_pooling: settings.summary,
    local_attention: 2 * (near?.reach ?? 64),
    layer_types: turning.map(({ reach }) => (reach === null ? kinds[0] : kinds[1])),
    // Older and newer releases of the library each read their own.
    global_attn_every_n_layers: Math.max(
      1,
      turning.findIndex(({ reach }, i) => i > 0 && reach === null),
    ),
    global_rope_theta: globalBase,
    local_rope_theta: localBase,
    rope_parameters: {
      full_attention: { rope_type: "default", rope_theta: globalBase },
      sliding_attention: { rope_type: "default", rope_theta: localBase },
    },
    // Where these are left out, the library takes those of its own vocabulary.
    ...{ bos_token_id: null, eos_token_id: null, cls_token_id: null, sep_token_id: null },
    pad_token_id: settings.padding,
    tie_word_embeddings: settings.tiedEmbeddings,
  };
}

function shaped({ dropout: _, ...sizes }: ModelShape): BertSettings {
  const keys = ModernBertConfig.parse({
    vocab_size: sizes.vocabularySize,
    hidden_size: sizes.width,
    intermediate_size: Math.ceil((1.5 * sizes.width) / 8) * 8,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    max_position_embeddings: sizes.context,
  });
  return readModernBert(keys);
}

/**
 * ModernBERT: rotary positions, norms before, gated units, no biases, and layers that see their neighbourhood alone; one
 * head for words and for classes.
 *
 * @see Warner et al. (2024), "Smarter, better, faster, longer", section 2.1, arXiv:2412.13663.
 */
export const modernBert = encoderFamily({
  modelType: "modernbert",
  summary: "ModernBERT: encoder with rotary positions and local layers",
  className: "ModernBert",
  wordsClass: "ForMaskedLM",
  prefix: "model.",
  hasChoices: false,
  shaped,
  readConfig: (config) => readModernBert(parseConfig(ModernBertConfig, config)),
  writeConfig: writeModernBert,
  renamings: [
    [/^body\.poolerNorm/, "head.norm"],
    [/^body\.pooler/, "head.dense"],
    [/^outputBias$/, "decoder.bias"],
    [/^head$/, "decoder.weight"],
    [/^body\.tokenEmbedding$/, "embeddings.tok_embeddings.weight"],
    [/^body\.embeddingNorm/, "embeddings.norm"],
    [/^body\.finalNorm/, "final_norm"],
    [/^body\.blocks\./, "layers."],
    [/attentionNorm/, "attn_norm"],
    [/attention\.qkv/, "attn.Wqkv"],
    [/attention\.projection/, "attn.Wo"],
    [/mlpNorm/, "mlp_norm"],
    [/mlp\.gateAndValue/, "mlp.Wi"],
    [/mlp\.projection/, "mlp.Wo"],
  ],
  projections: null,
  pooler: "head.",
  bodyPools: false,
  words: /^decoder\./,
  heads: /^(head|decoder)\./,
  ignored: /^(model\.)?rotary_emb\./,
  spellings: [],
  ownHead: { embedding: "model.embeddings.tok_embeddings.weight", head: "decoder.weight" },
});
