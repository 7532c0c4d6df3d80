import { z } from "zod";
import { parameters } from "../nn/parameters.ts";
import { ActivationName, activationNamed, nameOfActivation } from "./activation-names.ts";
import type { BertClassifierSettings, BertSettings } from "./bert.ts";
import { BertClassifier, BertForPretraining } from "./bert.ts";
import { parseConfig } from "./config.ts";
import type { ModelFamily, ModelShape, TensorBinding } from "./family.ts";
import { defineFamily } from "./family.ts";
import { packedTensors } from "./packed-tensors.ts";

/** How the first folders call the parameters of norms, and the head's bias where it belongs to the decoder. */
const spellings = [
  [/LayerNorm\.gamma$/, "LayerNorm.weight"],
  [/LayerNorm\.beta$/, "LayerNorm.bias"],
  [/^cls\.predictions\.decoder\.bias$/, "cls.predictions.bias"],
] as const;

/** BERT with its two heads for pretraining; folders of `model_type` bert. */
export const bert: ModelFamily<BertSettings, BertForPretraining> = defineFamily({
  summary: "BERT: bidirectional encoder that fills in masked words",
  modelType: "bert",
  architecture: "encoder",
  shaped,
  create: (settings, init) => new BertForPretraining(settings, init),
  readConfig: (config) => readSettings(parseConfig(BertConfig, config)),
  writeConfig: (settings) => ({ architectures: ["BertForPreTraining"], ...writeSettings(settings) }),
  tensors: (model) => bindings(model, model.settings.width),
  optionalPrefix: "bert.",
  optionalParts: /^(bert\.pooler|cls)\./,
  spellings,
  ignoredTensors: /^(cls\.predictions\.decoder\.weight|(classifier|qa_outputs)\..*|(bert\.)?embeddings\.position_ids)$/,
  ownHead: { embedding: "bert.embeddings.word_embeddings.weight", head: "cls.predictions.decoder.weight" },
});

/**
 * BERT with a classifier, for one task or the other; folders of `model_type` bert, too. The heads of pretraining are
 * passed over.
 */
export const bertClassifier: ModelFamily<BertClassifierSettings, BertClassifier> = defineFamily({
  summary: "BERT with a classifier of sequences or of choices",
  modelType: "bert",
  shaped: (shape): BertClassifierSettings => ({
    ...shaped(shape),
    task: "sequence-classification",
    labels: ["LABEL_0", "LABEL_1"],
  }),
  create: (settings, init) => new BertClassifier(settings, init),
  readConfig(config): BertClassifierSettings {
    const { architectures, id2label, ...keys } = parseConfig(ClassifierConfig, config);
    const task = architectures[0] === "BertForMultipleChoice" ? "multiple-choice" : "sequence-classification";
    return { ...readSettings(keys), task, labels: task === "multiple-choice" ? [] : id2label };
  },
  writeConfig(settings) {
    const { task, labels } = settings;
    if (task === "multiple-choice") return { architectures: ["BertForMultipleChoice"], ...writeSettings(settings) };
    return {
      architectures: ["BertForSequenceClassification"],
      ...writeSettings(settings),
      id2label: Object.fromEntries(labels.entries()),
      label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
    };
  },
  tensors: (model) => bindings(model, model.settings.width),
  optionalPrefix: "bert.",
  spellings,
  ignoredTensors: /^(cls\..*|(bert\.)?embeddings\.position_ids)$/,
});

const size = z.int().positive();
const rate = z.number().min(0).lt(1);

const sharedKeys = {
  vocab_size: size,
  hidden_size: size,
  num_hidden_layers: size,
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
  pad_token_id: z.int().nonnegative().nullish(),
  position_embedding_type: z.literal("absolute").default("absolute"),
  is_decoder: z.literal(false).default(false),
  tie_word_embeddings: z.boolean().default(true),
};

const BertConfig = z.object(sharedKeys);
type Keys = z.infer<typeof BertConfig>;

const ClassifierConfig = z.object({
  ...sharedKeys,
  architectures: z.array(z.string()).default(["BertForSequenceClassification"]),
  /** Names by id; the library's own two where a file has none. */
  id2label: z
    .record(z.string(), z.string())
    .default({ 0: "LABEL_0", 1: "LABEL_1" })
    .refine((names) => Object.keys(names).every((id) => Number(id) < Object.keys(names).length), "ids have gaps")
    .transform((names) => Object.keys(names).map((_, id) => names[String(id)] ?? "")),
});

function readSettings(keys: Keys): BertSettings {
  return {
    vocabularySize: keys.vocab_size,
    context: keys.max_position_embeddings,
    segments: keys.type_vocab_size,
    width: keys.hidden_size,
    layers: keys.num_hidden_layers,
    heads: keys.num_attention_heads,
    hidden: keys.intermediate_size,
    activation: activationNamed(keys.hidden_act),
    dropout: keys.hidden_dropout_prob,
    attentionDropout: keys.attention_probs_dropout_prob,
    classifierDropout: keys.classifier_dropout ?? keys.hidden_dropout_prob,
    normEpsilon: keys.layer_norm_eps,
    tiedEmbeddings: keys.tie_word_embeddings,
    initializerRange: keys.initializer_range,
    padding: keys.pad_token_id ?? 0,
  };
}

function writeSettings(settings: BertSettings): Keys & { model_type: string } {
  return {
    model_type: "bert",
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

function shaped(shape: ModelShape): BertSettings {
  const { dropout, ...sizes } = shape;
  return {
    ...sizes,
    segments: 2,
    hidden: 4 * shape.width,
    activation: "gelu",
    dropout,
    attentionDropout: dropout,
    classifierDropout: dropout,
    normEpsilon: 1e-12,
    tiedEmbeddings: true,
    initializerRange: 0.02,
    padding: 0,
  };
}

/** Field paths of the models and what their folders call them, applied in order. */
const renamings = [
  [/^body\.tokenEmbedding$/, "bert.embeddings.word_embeddings.weight"],
  [/^body\.positionEmbedding$/, "bert.embeddings.position_embeddings.weight"],
  [/^body\.segmentEmbedding$/, "bert.embeddings.token_type_embeddings.weight"],
  [/^body\.embeddingNorm/, "bert.embeddings.LayerNorm"],
  [/^body\.blocks\./, "bert.encoder.layer."],
  [/^body\.pooler/, "bert.pooler.dense"],
  [/attention\.projection/, "attention.output.dense"],
  [/attentionNorm/, "attention.output.LayerNorm"],
  [/mlp\.expansion/, "intermediate.dense"],
  [/mlp\.projection/, "output.dense"],
  [/mlpNorm/, "output.LayerNorm"],
  [/^transformNorm/, "cls.predictions.transform.LayerNorm"],
  [/^transform\./, "cls.predictions.transform.dense."],
  [/^outputBias$/, "cls.predictions.bias"],
  [/^head$/, "cls.predictions.decoder.weight"],
  [/^relationship/, "cls.seq_relationship"],
  [/\.gain$/, ".weight"],
] as const;

function bindings(model: object, width: number): TensorBinding[] {
  return [...parameters(model)].flatMap(([path, parameter]) => {
    const name = renamings.reduce((text, [from, to]) => text.replace(from, to), path);
    const [, before, part] = /^(.*attention)\.qkv\.(\w+)$/.exec(name) ?? [];
    if (before === undefined) return [{ name, parameter, transposed: false }];
    const own = (kind: string): [string, number] => [`${before}.self.${kind}.${part}`, width];
    return packedTensors(parameter, [own("query"), own("key"), own("value")]);
  });
}
