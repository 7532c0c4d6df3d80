import type { Backend } from "../backend/kernels.ts";
import { SettingsError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import type { TaskBatch } from "../data/task-inputs.ts";
import { dropOut } from "../nn/dropout.ts";
import type { Parameter } from "../nn/parameters.ts";
import { freeze, Initializer, parameters } from "../nn/parameters.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Bert, BertClassifier } from "./bert.ts";
import { bertEncoder } from "./bert-families.ts";
import type { EncoderFamily } from "./encoder-family.ts";
import type { OpeningChoice } from "./load.ts";
import { loadModelOf, openModel } from "./load.ts";
import { linearsOf, mergedTensors } from "./low-rank-adapters.ts";
import { loadTensors, modelPlacements } from "./read-model.ts";
import type { ReadingOptions, TaskDescription, TaskModel, TaskStates, TaskStorage } from "./task-model.ts";
import { readDescription, storedDescription } from "./task-model.ts";

/**
 * BERT, or another encoder, with a linear head on the pooled state of its first token.
 *
 * @see Devlin et al. (2019), sections 3.2 and 4, arXiv:1810.04805.
 */
export class EncoderTaskModel implements TaskModel {
  readonly description: TaskDescription;
  readonly classifier: BertClassifier;
  readonly languageModel = null;
  readonly family: EncoderFamily;
  readonly #headDropout: number;
  readonly #poolsAnew: boolean;

  /**
   * @param family - What kind of encoder it is; BERT when left out.
   * @param poolsAnew - Whether the layer over the first token's state is as new as the head, and a part of it.
   */
  constructor(
    description: TaskDescription,
    classifier: BertClassifier,
    headDropout: number,
    family: EncoderFamily = bertEncoder,
    poolsAnew = false,
  ) {
    this.description = description;
    this.classifier = classifier;
    this.family = family;
    this.#headDropout = headDropout;
    this.#poolsAnew = poolsAnew;
  }

  get backend(): Backend {
    return this.classifier.backend;
  }

  get body(): Bert {
    return this.classifier.body;
  }

  get head(): ReadonlyMap<string, Parameter> {
    const bindings = this.family.classifier.tensors(this.classifier);
    const { prefix, pooler } = this.family.description;
    const isHead = ({ name }: { name: string }): boolean =>
      !name.startsWith(prefix) || (this.#poolsAnew && name.startsWith(pooler));
    return new Map(bindings.filter(isHead).map(({ name, parameter }) => [name, parameter as Parameter]));
  }

  read(
    { ids, batch, time, typeIds, lengths }: TaskBatch,
    random: Random | null,
    options: ReadingOptions = {},
  ): TaskStates {
    const tokens = Tensor.from(this.backend, ids, [batch, time]);
    const hidden = this.body.forward(tokens, { segments: typeIds, lengths, random, ...options });
    return { hidden, summaries: this.body.pooled(hidden, lengths) };
  }

  answer(summaries: Tensor, random: Random | null): Tensor {
    return this.classifier.classifier.forward(dropOut(summaries, this.#headDropout, random));
  }

  /** An encoder's own tokens stand around its inputs: there are none to learn. A pooler may be part of the head. */
  freezeBody(): void {
    freeze(this.body);
    for (const parameter of this.head.values()) parameter.requiresGrad = true;
  }

  trainable(): Map<string, Parameter> {
    return new Map([...parameters(this)].filter(([, { requiresGrad }]) => requiresGrad));
  }
}

/** How a pretrained encoder is given a head. */
interface NewTask extends Pick<OpeningChoice, "adapters" | "weights"> {
  readonly random: Random;
  readonly headDropout: number;
  readonly note: (line: string) => void;
}

/**
 * Gives a pretrained encoder a new head, and a new pooler where it has none, which `note` is told.
 *
 * @throws {SettingsError} when the library has no class of this kind for the task.
 */
export async function newEncoderTaskModel(
  family: EncoderFamily,
  path: string,
  description: TaskDescription,
  backend: Backend,
  { random, headDropout, note, ...opening }: NewTask,
): Promise<EncoderTaskModel> {
  const { hasChoices, modelType, pooler } = family.description;
  if (description.task === "multiple-choice" && !hasChoices) {
    throw new SettingsError(`task: a ${modelType} has no head for multiple choice; take a bert or a decoder for it`);
  }
  let isPooler = (_: string): boolean => false;
  const report = (lacking: readonly string[]): void => {
    if (!lacking.some((name) => name.startsWith(pooler))) return;
    note(`${path}: has no pooler, what a head reads; it gets a new one`);
    isPooler = (name) => name.startsWith("pooler.");
  };
  const pretrained = await loadModelOf(family.words, path, backend, { ...opening, missing: { random: null, report } });
  const task = description.task === "multiple-choice" ? "multiple-choice" : "sequence-classification";
  const labels = description.labels.length > 0 ? [...description.labels] : ["score"];
  const settings = { ...pretrained.settings, task, labels } as const;
  const classifier = family.classifier.create(settings, new Initializer(backend, random));
  const layers = linearsOf(pretrained.body);
  for (const [path, layer] of linearsOf(classifier.body)) layer.added = layers.get(path)?.added ?? null;
  const known = parameters(pretrained.body);
  for (const [name, parameter] of parameters(classifier.body)) {
    const source = known.get(name);
    if (!source || isPooler(name)) continue;
    // Moved as it lies, in whatever format.
    parameter.release();
    parameter.storage = source.storage;
    parameter.requiresGrad = source.requiresGrad;
  }
  const kept = new Set([...parameters(classifier).values()].map(({ storage }) => storage));
  for (const parameter of parameters(pretrained).values()) if (!kept.has(parameter.storage)) parameter.release();
  return new EncoderTaskModel(description, classifier, headDropout, family, isPooler("pooler."));
}

/** Opens a classifier that `stemma finetune` has written, or anyone's. */
export async function openEncoderTaskModel(
  family: EncoderFamily,
  path: string,
  backend: Backend,
  { headDropout = 0, ...opening }: Pick<OpeningChoice, "adapters" | "weights"> & { readonly headDropout?: number } = {},
): Promise<EncoderTaskModel> {
  const folder = await openModel(path);
  await folder.close();
  const classifier = await loadModelOf(family.classifier, path, backend, opening);
  return new EncoderTaskModel(readDescription(folder.config, path), classifier, headDropout, family);
}

/** How a fine-tuned encoder is kept in a folder. */
export function encoderStorage({ classifier, description, body, family }: EncoderTaskModel): TaskStorage {
  return {
    config: (ids) => ({
      ...family.classifier.writeConfig(classifier.settings, ids),
      ...storedDescription(description),
    }),
    tensors: () => mergedTensors(modelPlacements(family.classifier, classifier), body),
    load: (source) => loadTensors(family.classifier, classifier, source),
    bindings: () => family.classifier.tensors(classifier),
  };
}
