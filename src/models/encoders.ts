import { z } from "zod";
import { ActivationName, activationNamed, nameOfActivation } from "./activation-names.ts";
import type { BertSettings } from "./bert.ts";
import {
  bertEncoder,
  bertKeys,
  oldNorms,
  ownBlocks,
  readBertKeys,
  shapedBert,
  writeBertKeys,
} from "./bert-families.ts";
import { parseConfig } from "./config.ts";
import { layerCount, rate, size, tokenId } from "./config-numbers.ts";
import type { EncoderDescription, EncoderFamily } from "./encoder-family.ts";
import { encoderFamily } from "./encoder-family.ts";
import type { ModelConfig } from "./family.ts";
import { modernBert } from "./modern-bert.ts";

const robertaProperties = { wordActivation: "gelu", poolerActivation: "tanh", nextSentence: false } as const;
const RobertaConfig = z.object({ ...bertKeys, pad_token_id: tokenId.default(1) });

/**
 * RoBERTa: no second segment, positions that begin behind that of padding.
 *
 * @see Liu et al. (2019), "RoBERTa", arXiv:1907.11692; Conneau et al. (2020), "XLM-R", arXiv:1911.02116.
 */
const robertaDescription: EncoderDescription = {
  modelType: "roberta",
  summary: "RoBERTa: BERT without pairs of sentences, over bytes",
  className: "Roberta",
  wordsClass: "ForMaskedLM",
  prefix: "roberta.",
  hasChoices: false,
  shaped: (shape) => ({ ...shapedBert(shape), ...robertaProperties, positionOffset: 2, segments: 1, padding: 1 }),
  readConfig(config) {
    const keys = parseConfig(RobertaConfig, config);
    const positionOffset = keys.pad_token_id + 1;
    const context = keys.max_position_embeddings - positionOffset;
    return { ...readBertKeys(keys), ...robertaProperties, positionOffset, context };
  },
  writeConfig: (settings) => ({
    model_type: "roberta",
    ...writeBertKeys(settings),
    max_position_embeddings: settings.context + settings.positionOffset,
  }),
  renamings: [
    [/^transformNorm/, "lm_head.layer_norm"],
    [/^transform\./, "lm_head.dense."],
    [/^outputBias$/, "lm_head.bias"],
    [/^head$/, "lm_head.decoder.weight"],
    [/^classifier\./, "classifier.out_proj."],
    [/^body\.pooler/, "classifier.dense"],
  ],
  projections: ["self.query", "self.key", "self.value"],
  pooler: "classifier.dense.",
  bodyPools: true,
  words: /^lm_head\./,
  heads: /^(classifier|lm_head)\./,
  ignored: /^(roberta\.)?(pooler\.|embeddings\.position_ids$)/,
  spellings: [...oldNorms, [/^lm_head\.decoder\.bias$/, "lm_head.bias"]],
  ownHead: { embedding: "roberta.embeddings.word_embeddings.weight", head: "lm_head.decoder.weight" },
};

const DistilBertConfig = z.object({
  vocab_size: size,
  dim: size,
  n_layers: layerCount,
  n_heads: size,
  hidden_dim: size,
  activation: ActivationName.default("gelu"),
  dropout: rate.default(0.1),
  attention_dropout: rate.default(0.1),
  seq_classif_dropout: rate.default(0.2),
  max_position_embeddings: size.default(512),
  initializer_range: z.number().positive().default(0.02),
  pad_token_id: tokenId.nullish(),
  tie_word_embeddings: z.boolean().default(true),
});
type DistilBertKeys = z.infer<typeof DistilBertConfig>;

const distilBertProperties = {
  ...ownBlocks,
  positionOffset: 0,
  segments: 0,
  embeddingWidth: null,
  normEpsilon: 1e-12,
  wordActivation: null,
  poolerActivation: "relu",
  nextSentence: false,
} as const;

function readDistilBert(keys: DistilBertKeys): BertSettings {
  return {
    ...distilBertProperties,
    vocabularySize: keys.vocab_size,
    context: keys.max_position_embeddings,
    width: keys.dim,
    layers: keys.n_layers,
    heads: keys.n_heads,
    hidden: keys.hidden_dim,
    activation: activationNamed(keys.activation),
    dropout: keys.dropout,
    attentionDropout: keys.attention_dropout,
    classifierDropout: keys.seq_classif_dropout,
    tiedEmbeddings: keys.tie_word_embeddings,
    initializerRange: keys.initializer_range,
    padding: keys.pad_token_id ?? 0,
  };
}

function writeDistilBert(settings: BertSettings): ModelConfig {
  return {
    model_type: "distilbert",
    vocab_size: settings.vocabularySize,
    dim: settings.width,
    n_layers: settings.layers,
    n_heads: settings.heads,
    hidden_dim: settings.hidden,
    activation: nameOfActivation(settings.activation),
    dropout: settings.dropout,
    attention_dropout: settings.attentionDropout,
    seq_classif_dropout: settings.classifierDropout,
    max_position_embeddings: settings.context,
    initializer_range: settings.initializerRange,
    pad_token_id: settings.padding,
    tie_word_embeddings: settings.tiedEmbeddings,
    sinusoidal_pos_embds: false,
  };
}

/**
 * DistilBERT: half the layers, no segments and no pooler. Sinusoidal positions are a table in its files like any other.
 *
 * @see Sanh et al. (2019), arXiv:1910.01108.
 */
const distilBert = encoderFamily({
  modelType: "distilbert",
  summary: "DistilBERT: BERT with half the layers, without segments",
  className: "DistilBert",
  wordsClass: "ForMaskedLM",
  prefix: "distilbert.",
  hasChoices: true,
  shaped: (shape) => ({ ...shapedBert(shape), ...distilBertProperties }),
  readConfig: (config) => readDistilBert(parseConfig(DistilBertConfig, config)),
  writeConfig: writeDistilBert,
  renamings: [
    [/^body\.pooler/, "pre_classifier"],
    [/^transformNorm/, "vocab_layer_norm"],
    [/^transform\./, "vocab_transform."],
    [/^outputBias$/, "vocab_projector.bias"],
    [/^head$/, "vocab_projector.weight"],
    [/^body\.blocks\./, "transformer.layer."],
    [/attention\.projection/, "attention.out_lin"],
    [/attentionNorm/, "sa_layer_norm"],
    [/mlp\.expansion/, "ffn.lin1"],
    [/mlp\.projection/, "ffn.lin2"],
    [/mlpNorm/, "output_layer_norm"],
  ],
  projections: ["q_lin", "k_lin", "v_lin"],
  pooler: "pre_classifier.",
  bodyPools: false,
  words: /^vocab_/,
  heads: /^(pre_classifier\.|vocab_)/,
  ignored: /^(distilbert\.)?embeddings\.position_ids$/,
  spellings: oldNorms,
  ownHead: { embedding: "distilbert.embeddings.word_embeddings.weight", head: "vocab_projector.weight" },
});

const ElectraConfig = z.object({ ...bertKeys, embedding_size: size.default(128) });
const electraProperties = { wordActivation: "gelu", poolerActivation: "gelu", nextSentence: false } as const;

/**
 * ELECTRA: embeddings narrower than the layers. A generator names words; the head of a discriminator, which tells words
 * that were replaced, is passed over: it is a body to fine-tune.
 *
 * @see Clark et al. (2020), arXiv:2003.10555.
 */
const electra = encoderFamily({
  modelType: "electra",
  summary: "ELECTRA: encoder with narrow embeddings, to fine-tune",
  className: "Electra",
  wordsClass: "ForMaskedLM",
  prefix: "electra.",
  hasChoices: false,
  shaped: (shape) => ({ ...shapedBert(shape), ...electraProperties }),
  readConfig(config) {
    const keys = parseConfig(ElectraConfig, config);
    const embeddingWidth = keys.embedding_size === keys.hidden_size ? null : keys.embedding_size;
    return { ...readBertKeys(keys), ...electraProperties, embeddingWidth };
  },
  writeConfig: (settings) => ({
    model_type: "electra",
    ...writeBertKeys(settings),
    embedding_size: settings.embeddingWidth ?? settings.width,
  }),
  renamings: [
    [/^transformNorm/, "generator_predictions.LayerNorm"],
    [/^transform\./, "generator_predictions.dense."],
    [/^outputBias$/, "generator_lm_head.bias"],
    [/^head$/, "generator_lm_head.weight"],
    [/^classifier\./, "classifier.out_proj."],
    [/^body\.pooler/, "classifier.dense"],
  ],
  projections: ["self.query", "self.key", "self.value"],
  pooler: "classifier.dense.",
  bodyPools: false,
  words: /^generator_/,
  heads: /^(classifier\.|generator_)/,
  ignored: /^(discriminator_predictions\.|(electra\.)?embeddings\.position_ids$)/,
  spellings: oldNorms,
  ownHead: { embedding: "electra.embeddings.word_embeddings.weight", head: "generator_lm_head.weight" },
});

/** Every kind of encoder, by its `model_type`. Adding one is a description. */
export const encoders: Readonly<Record<string, EncoderFamily>> = {
  bert: bertEncoder,
  roberta: encoderFamily(robertaDescription),
  "xlm-roberta": encoderFamily({
    ...robertaDescription,
    modelType: "xlm-roberta",
    summary: "XLM-R: RoBERTa for a hundred languages",
    className: "XLMRoberta",
    writeConfig: (settings) => ({ ...robertaDescription.writeConfig(settings), model_type: "xlm-roberta" }),
  }),
  distilbert: distilBert,
  electra,
  modernbert: modernBert,
};

/** The kind of encoder that a config.json names, or null where it names none. */
export function encoderNamed({ model_type: type }: ModelConfig): EncoderFamily | null {
  return typeof type === "string" && Object.hasOwn(encoders, type) ? (encoders[type] ?? null) : null;
}
