import { z } from "zod";
import { CheckpointError } from "../core/errors.ts";
import { parameters } from "../nn/parameters.ts";
import type { BertClassifierSettings, BertSettings } from "./bert.ts";
import { Bert, BertClassifier, BertForPretraining } from "./bert.ts";
import { parseConfig } from "./config.ts";
import type { ModelConfig, ModelFamily, ModelShape, OwnHead, TensorBinding } from "./family.ts";
import { defineFamily } from "./family.ts";
import { packedTensors } from "./packed-tensors.ts";

/** How a kind of encoder is written in the layout that the `transformers` library reads. */
export interface EncoderDescription {
  readonly modelType: string;
  /** One line for help texts. */
  readonly summary: string;
  /** How the library's classes begin: `Bert`. */
  readonly className: string;
  /** Class with the head that names words: `ForMaskedLM`. */
  readonly wordsClass: string;
  /** Prefix of the names of the body's tensors. */
  readonly prefix: string;
  /** Whether the library's class for multiple choice has the heads of that for sequences. */
  readonly hasChoices: boolean;
  readonly readConfig: (config: ModelConfig) => BertSettings;
  /** Its keys without `architectures`. */
  readonly writeConfig: (settings: BertSettings) => ModelConfig;
  shaped(shape: ModelShape): BertSettings;
  /** Field paths of the models and what folders call them, applied in order before those that all have. */
  readonly renamings: readonly (readonly [RegExp, string])[];
  /** What queries, keys and values are called behind `attention.`; null where they are one matrix. */
  readonly projections: readonly [query: string, key: string, value: string] | null;
  /** Prefix of the layer over the first token's state. */
  readonly pooler: string;
  /** Whether the library's class without a head has that layer; `pooler.dense` is its name there. */
  readonly bodyPools: boolean;
  /** Tensors of the head that names words. */
  readonly words: RegExp;
  /** Tensors that a folder of the body may lack: all heads. */
  readonly heads: RegExp;
  /** Tensors of other heads, and buffers. */
  readonly ignored: RegExp;
  readonly spellings: readonly (readonly [RegExp, string])[];
  readonly ownHead: OwnHead;
}

/** An encoder without a head, with the head that names words, and with a classifier: models with one `model_type`. */
export interface EncoderFamily {
  readonly body: ModelFamily<BertSettings, Bert>;
  readonly words: ModelFamily<BertSettings, BertForPretraining>;
  readonly classifier: ModelFamily<BertClassifierSettings, BertClassifier>;
  readonly description: EncoderDescription;
}

const classifierKeys = z.object({
  architectures: z.array(z.string()).default(["ForSequenceClassification"]),
  /** Names by id; the library's own two where a file has none. */
  id2label: z
    .record(z.string(), z.string())
    .default({ 0: "LABEL_0", 1: "LABEL_1" })
    .refine((names) => Object.keys(names).every((id) => Number(id) < Object.keys(names).length), "ids have gaps")
    .transform((names) => Object.keys(names).map((_, id) => names[String(id)] ?? "")),
});

/** The families of a kind of encoder. */
export function encoderFamily(description: EncoderDescription): EncoderFamily {
  const { modelType, summary, className, prefix, heads, ignored, words, spellings, ownHead } = description;
  const shared = { modelType, optionalPrefix: prefix, spellings };
  const otherHeads = /^(classifier|qa_outputs)\./;
  return {
    description,
    body: defineFamily({
      ...shared,
      summary: `${className} without a head`,
      shaped: (shape) => description.shaped(shape),
      create: (settings, init) => new Bert(settings, init),
      tensors: (model) => bodyBindings(description, model),
      readConfig: description.readConfig,
      writeConfig: (settings) => ({ architectures: [`${className}Model`], ...description.writeConfig(settings) }),
      optionalParts: /^pooler\./,
      ignoredTensors: either(ignored, heads, words, otherHeads),
    }),
    words: defineFamily({
      ...shared,
      summary,
      architecture: "encoder",
      shaped: (shape) => description.shaped(shape),
      create: (settings, init) => new BertForPretraining(settings, init),
      tensors: (model) => bindings(description, model),
      readConfig: description.readConfig,
      writeConfig: (settings) => ({
        architectures: [className + description.wordsClass],
        ...description.writeConfig(settings),
      }),
      optionalParts: heads,
      ignoredTensors: either(ignored, new RegExp(`^${ownHead.head}$`), otherHeads),
      ownHead,
    }),
    classifier: defineFamily({
      ...shared,
      summary: `${className} with a classifier of sequences or of choices`,
      shaped: (shape): BertClassifierSettings => ({
        ...description.shaped(shape),
        task: "sequence-classification",
        labels: ["LABEL_0", "LABEL_1"],
      }),
      create: (settings, init) => new BertClassifier(settings, init),
      tensors: (model) => bindings(description, model),
      readConfig: (config) => readClassifier(description, config),
      writeConfig: (settings) => writeClassifier(description, settings),
      ignoredTensors: either(ignored, words),
    }),
  };
}

function either(...patterns: readonly RegExp[]): RegExp {
  return new RegExp(patterns.map(({ source }) => source).join("|"));
}

function readClassifier(description: EncoderDescription, config: ModelConfig): BertClassifierSettings {
  // Every other key is looked at by the description.
  const known = { architectures: config.architectures, id2label: config.id2label };
  const { architectures, id2label } = parseConfig(classifierKeys, known);
  const isChoice = /ForMultipleChoice$/.test(architectures[0] ?? "");
  if (isChoice && !description.hasChoices) {
    throw new CheckpointError(
      `config.json: architectures is ${JSON.stringify(architectures)}, whose head is not supported; choose another model`,
    );
  }
  const task = isChoice ? "multiple-choice" : "sequence-classification";
  return { ...description.readConfig(config), task, labels: isChoice ? [] : id2label };
}

function writeClassifier(description: EncoderDescription, settings: BertClassifierSettings): ModelConfig {
  const { task, labels } = settings;
  const keys = description.writeConfig(settings);
  if (task === "multiple-choice") return { architectures: [`${description.className}ForMultipleChoice`], ...keys };
  return {
    architectures: [`${description.className}ForSequenceClassification`],
    ...keys,
    id2label: Object.fromEntries(labels.entries()),
    label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
  };
}

/** BERT's names, which most encoders have. */
const usualNames = [
  [/^body\.tokenEmbedding$/, "embeddings.word_embeddings.weight"],
  [/^body\.positionEmbedding$/, "embeddings.position_embeddings.weight"],
  [/^body\.segmentEmbedding$/, "embeddings.token_type_embeddings.weight"],
  [/^body\.embeddingNorm/, "embeddings.LayerNorm"],
  [/^body\.embeddingProjection/, "embeddings_project"],
  [/^body\.blocks\./, "encoder.layer."],
  [/attention\.projection/, "attention.output.dense"],
  [/attentionNorm/, "attention.output.LayerNorm"],
  [/mlp\.expansion/, "intermediate.dense"],
  [/mlp\.projection/, "output.dense"],
  [/mlpNorm/, "output.LayerNorm"],
] as const;

/** Names without the prefix, as the class without a head writes them. */
function bodyBindings(description: EncoderDescription, body: Bert): TensorBinding[] {
  const { prefix, pooler, bodyPools } = description;
  return bindings(description, { body, settings: body.settings })
    .filter(({ name }) => bodyPools || !name.startsWith(pooler))
    .map((binding) => {
      const name = binding.name.startsWith(pooler) ? `pooler.dense.${binding.name.slice(pooler.length)}` : binding.name;
      return { ...binding, name: name.startsWith(prefix) ? name.slice(prefix.length) : name };
    });
}

function bindings(
  description: EncoderDescription,
  model: { readonly body: Bert; readonly settings: BertSettings },
): TensorBinding[] {
  const { prefix, pooler, renamings, projections } = description;
  const { width } = model.settings;
  const nameOf = (path: string): string => {
    const name = [...renamings, ...usualNames].reduce((text, [from, to]) => text.replace(from, to), path);
    return path.startsWith("body.") && !name.startsWith(pooler) ? prefix + name : name;
  };
  return [...parameters(model)].flatMap(([path, parameter]) => {
    const name = nameOf(path).replace(/\.gain$/, ".weight");
    const [, before, part] = /^(.*attention)\.qkv\.(\w+)$/.exec(name) ?? [];
    if (before === undefined || !projections) return [{ name, parameter, transposed: false }];
    const stretches = projections.map((kind): [string, number] => [`${before}.${kind}.${part}`, width]);
    return packedTensors(parameter, stretches);
  });
}
