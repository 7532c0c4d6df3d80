import { z } from "zod";
import { ActivationName, activationNamed, nameOfActivation } from "./activation-names.ts";
import type { BertSettings } from "./bert.ts";
import { parseConfig } from "./config.ts";
import { layerCount, rate, size, tokenId } from "./config-numbers.ts";
import { encoderFamily } from "./encoder-family.ts";
import type { ModelShape } from "./family.ts";

/** How the first folders call the parameters of norms. */
export const oldNorms = [
  [/LayerNorm\.gamma$/, "LayerNorm.weight"],
  [/LayerNorm\.beta$/, "LayerNorm.bias"],
] as const;

/** Keys of BERT's config that its kin have as well. */
export const bertKeys = {
  vocab_size: size,
  hidden_size: size,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  intermediate_size: size,
  hidden_act: ActivationName.default("gelu"),
  hidden_dropout_prob: rate.default(0.1),
  attention_probs_dropout_prob: rate.default(0.1),
  classifier_dropout: rate.nullish(),
  max_position_embeddings: size.default(512),
  type_vocab_size: size.default(2),
  initializer_range: z.number().positive().default(0.02),
  layer_norm_eps: z.number().positive().default(1e-12),
  pad_token_id: tokenId.nullish(),
  position_embedding_type: z.literal("absolute").default("absolute"),
  is_decoder: z.literal(false).default(false),
  tie_word_embeddings: z.boolean().default(true),
};

/** What sets BERT's own blocks and heads apart from ModernBERT's. */
export const ownBlocks = { turning: null, summary: "cls", sharesHead: false } as const;

const BertConfig = z.object(bertKeys);
/** What they hold. */
export type BertKeys = z.infer<typeof BertConfig>;

/** BERT with its heads: folders of `model_type` bert. */
export const bertEncoder = encoderFamily({
  modelType: "bert",
  summary: "BERT: bidirectional encoder that fills in masked words",
  className: "Bert",
  wordsClass: "ForPreTraining",
  prefix: "bert.",
  hasChoices: true,
  shaped: shapedBert,
  readConfig: (config) => readBertKeys(parseConfig(BertConfig, config)),
  writeConfig: (settings) => ({ model_type: "bert", ...writeBertKeys(settings) }),
  renamings: [
    [/^body\.pooler/, "pooler.dense"],
    [/^transformNorm/, "cls.predictions.transform.LayerNorm"],
    [/^transform\./, "cls.predictions.transform.dense."],
    [/^outputBias$/, "cls.predictions.bias"],
    [/^head$/, "cls.predictions.decoder.weight"],
    [/^relationship/, "cls.seq_relationship"],
  ],
  projections: ["self.query", "self.key", "self.value"],
  pooler: "bert.pooler.dense.",
  bodyPools: true,
  words: /^cls\./,
  heads: /^(bert\.pooler|cls)\./,
  ignored: /^(bert\.)?embeddings\.position_ids$/,
  // The head's bias belongs to the decoder in some.
  spellings: [...oldNorms, [/^cls\.predictions\.decoder\.bias$/, "cls.predictions.bias"]],
  ownHead: { embedding: "bert.embeddings.word_embeddings.weight", head: "cls.predictions.decoder.weight" },
});

/** BERT with its two heads for pretraining. */
export const bert = bertEncoder.words;

/** BERT with a classifier, for one task or the other. The heads of pretraining are passed over. */
export const bertClassifier = bertEncoder.classifier;

/** Settings of an encoder with BERT's keys. */
export function readBertKeys(keys: BertKeys): BertSettings {
  return {
    vocabularySize: keys.vocab_size,
    context: keys.max_position_embeddings,
    ...ownBlocks,
    positionOffset: 0,
    segments: keys.type_vocab_size,
    width: keys.hidden_size,
    embeddingWidth: null,
    layers: keys.num_hidden_layers,
    heads: keys.num_attention_heads,
    hidden: keys.intermediate_size,
    activation: activationNamed(keys.hidden_act),
    wordActivation: null,
    poolerActivation: "tanh",
    nextSentence: true,
    dropout: keys.hidden_dropout_prob,
    attentionDropout: keys.attention_probs_dropout_prob,
    classifierDropout: keys.classifier_dropout ?? keys.hidden_dropout_prob,
    normEpsilon: keys.layer_norm_eps,
    tiedEmbeddings: keys.tie_word_embeddings,
    initializerRange: keys.initializer_range,
    padding: keys.pad_token_id ?? 0,
  };
}

/** {@link readBertKeys} the other way round. */
export function writeBertKeys(settings: BertSettings): BertKeys {
  return {
    vocab_size: settings.vocabularySize,
    hidden_size: settings.width,
    num_hidden_layers: settings.layers,
    num_attention_heads: settings.heads,
    intermediate_size: settings.hidden,
    hidden_act: nameOfActivation(settings.activation),
    hidden_dropout_prob: settings.dropout,
    attention_probs_dropout_prob: settings.attentionDropout,
    classifier_dropout: settings.classifierDropout === settings.dropout ? null : settings.classifierDropout,
    max_position_embeddings: settings.context,
    type_vocab_size: settings.segments,
    initializer_range: settings.initializerRange,
    layer_norm_eps: settings.normEpsilon,
    pad_token_id: settings.padding,
    position_embedding_type: "absolute",
    is_decoder: false,
    tie_word_embeddings: settings.tiedEmbeddings,
  };
}

/** A BERT of the given shape. */
export function shapedBert(shape: ModelShape): BertSettings {
  const { dropout, ...sizes } = shape;
  return {
    ...sizes,
    ...ownBlocks,
    positionOffset: 0,
    segments: 2,
    embeddingWidth: null,
    hidden: 4 * shape.width,
    activation: "gelu",
    wordActivation: null,
    poolerActivation: "tanh",
    nextSentence: true,
    dropout,
    attentionDropout: dropout,
    classifierDropout: dropout,
    normEpsilon: 1e-12,
    tiedEmbeddings: true,
    initializerRange: 0.02,
    padding: 0,
  };
}
