import type { Backend } from "../backend/kernels.ts";
import { openModelFolder } from "../checkpoint/model-folder.ts";
import type { Random } from "../core/random.ts";
import type { TaskBatch } from "../data/task-inputs.ts";
import { dropOut } from "../nn/dropout.ts";
import type { Parameter } from "../nn/parameters.ts";
import { freeze, Initializer, parameters } from "../nn/parameters.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Bert, BertClassifier } from "./bert.ts";
import { bert, bertClassifier } from "./bert-families.ts";
import { loadModelOf } from "./load.ts";
import { mergedTensors } from "./low-rank-adapters.ts";
import { loadTensors, modelPlacements } from "./read-model.ts";
import type { ReadingOptions, TaskDescription, TaskModel, TaskStates, TaskStorage } from "./task-model.ts";
import { readDescription, storedDescription } from "./task-model.ts";

/**
 * BERT with a linear head on the pooled state of its first token.
 *
 * @see Devlin et al. (2019), sections 3.2 and 4, arXiv:1810.04805.
 */
export class EncoderTaskModel implements TaskModel {
  readonly description: TaskDescription;
  readonly classifier: BertClassifier;
  readonly languageModel = null;
  readonly #headDropout: number;

  constructor(description: TaskDescription, classifier: BertClassifier, headDropout: number) {
    this.description = description;
    this.classifier = classifier;
    this.#headDropout = headDropout;
  }

  get backend(): Backend {
    return this.classifier.backend;
  }

  get body(): Bert {
    return this.classifier.body;
  }

  get head(): ReadonlyMap<string, Parameter> {
    const { weight, bias } = this.classifier.classifier;
    return new Map([["classifier.weight", weight], ...(bias ? [["classifier.bias", bias] as const] : [])]);
  }

  read(
    { ids, batch, time, typeIds, lengths }: TaskBatch,
    random: Random | null,
    options: ReadingOptions = {},
  ): TaskStates {
    const tokens = Tensor.from(this.backend, ids, [batch, time]);
    const hidden = this.body.forward(tokens, { segments: typeIds, lengths, random, ...options });
    return { hidden, summaries: this.body.pooled(hidden) };
  }

  answer(summaries: Tensor, random: Random | null): Tensor {
    return this.classifier.classifier.forward(dropOut(summaries, this.#headDropout, random));
  }

  /** BERT's own tokens stand around its inputs: there are none to learn. */
  freezeBody(): void {
    freeze(this.body);
  }

  trainable(): Map<string, Parameter> {
    return new Map([...parameters(this)].filter(([, { requiresGrad }]) => requiresGrad));
  }
}

/** Gives a pretrained BERT a new head, and a new pooler where it has none, which `note` is told. */
export async function newEncoderTaskModel(
  path: string,
  description: TaskDescription,
  backend: Backend,
  { random, headDropout, note }: { random: Random; headDropout: number; note: (line: string) => void },
): Promise<EncoderTaskModel> {
  let isPooler = (_: string): boolean => false;
  const report = (lacking: readonly string[]): void => {
    if (!lacking.some((name) => name.startsWith("bert.pooler."))) return;
    note(`${path}: has no pooler, what a head reads; it gets a new one`);
    isPooler = (name) => name.startsWith("pooler.");
  };
  const pretrained = await loadModelOf(bert, path, backend, { random: null, report });
  const task = description.task === "multiple-choice" ? "multiple-choice" : "sequence-classification";
  const labels = description.labels.length > 0 ? [...description.labels] : ["score"];
  const settings = { ...pretrained.settings, task, labels } as const;
  const classifier = bertClassifier.create(settings, new Initializer(backend, random));
  const known = parameters(pretrained.body);
  for (const [name, parameter] of parameters(classifier.body)) {
    const source = known.get(name);
    if (source && !isPooler(name)) parameter.write(await source.floats());
  }
  for (const parameter of parameters(pretrained).values()) parameter.release();
  return new EncoderTaskModel(description, classifier, headDropout);
}

/** Opens a BERT that `stemma finetune` has written. */
export async function openEncoderTaskModel(path: string, backend: Backend, headDropout = 0): Promise<EncoderTaskModel> {
  const folder = await openModelFolder(path);
  await folder.close();
  const classifier = await loadModelOf(bertClassifier, path, backend);
  return new EncoderTaskModel(readDescription(folder.config, path), classifier, headDropout);
}

/** How a fine-tuned BERT is kept in a folder. */
export function encoderStorage({ classifier, description, body }: EncoderTaskModel): TaskStorage {
  return {
    config: (ids) => ({ ...bertClassifier.writeConfig(classifier.settings, ids), ...storedDescription(description) }),
    tensors: () => mergedTensors(modelPlacements(bertClassifier, classifier), body),
    load: (source) => loadTensors(bertClassifier, classifier, source),
    bindings: () => bertClassifier.tensors(classifier),
  };
}
