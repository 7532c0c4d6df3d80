import { z } from "zod";
import type { Backend } from "../backend/kernels.ts";
import type { Placement } from "../checkpoint/assign-tensors.ts";
import type { ModelFolder } from "../checkpoint/model-folder.ts";
import type { TensorSource, WritableTensor } from "../checkpoint/tensor-source.ts";
import { CheckpointError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import type { TaskColumns, TaskKind } from "../data/task-examples.ts";
import { defaultColumns, taskKinds } from "../data/task-examples.ts";
import type { TaskBatch } from "../data/task-inputs.ts";
import type { ForwardOptions } from "../nn/attention.ts";
import { dropOut } from "../nn/dropout.ts";
import { freeze, Initializer, Parameter, parameters } from "../nn/parameters.ts";
import { recordsTape } from "../tensor/op.ts";
import { Tensor } from "../tensor/tensor.ts";
import { addAdapters } from "./added-adapters.ts";
import type { ModelConfig, ModelFamily, SpecialIds, TensorBinding } from "./family.ts";
import type { LanguageModel, TextModel } from "./language-model.ts";
import { lastStates } from "./last-states.ts";
import { mergedTensors } from "./low-rank-adapters.ts";
import { architecturesOf, classNames, rewardLabel } from "./other-heads.ts";
import { createEmpty, familyOf } from "./read-model.ts";
import {
  classifierArchitectures,
  classifierPlacements,
  isUnusedOutput,
  loadClassifier,
} from "./sequence-classifier.ts";
import type { WeightChoice } from "./weight-choice.ts";

/** What a fine-tuned model was taught, kept with its weights. */
export interface TaskDescription {
  readonly task: TaskKind;
  /** Names of the classes by number; none where the model gives a score. */
  readonly labels: readonly string[];
  /** Columns of the data it was trained on. */
  readonly columns: TaskColumns;
  /** Special tokens by what they are for; null where the tokenizer's own template frames texts, as in models of others. */
  readonly tokens: TaskTokens | null;
}

/** The texts of the three tokens that frame a decoder's inputs. */
export interface TaskTokens {
  readonly start: string;
  readonly delimiter: string;
  readonly extract: string;
}

/** How a batch of inputs is read. */
export type ReadingOptions = Pick<ForwardOptions, "recompute">;

/** What a body says of a batch of inputs. */
export interface TaskStates {
  /** `[batch, time, width]`; in training with a frozen body of the last tokens alone. */
  readonly hidden: Tensor;
  /** `[batch, width]`: what the head reads, one vector an input. */
  readonly summaries: Tensor;
}

/** A body with a head that answers a task. Shared code reads these and never asks which body it has. */
export interface TaskModel {
  readonly description: TaskDescription;
  readonly backend: Backend;
  /** All but the head. */
  readonly body: TextModel;
  /** Parameters of the head by their names in a folder. */
  readonly head: ReadonlyMap<string, Parameter>;
  /** The body where it can predict the next token of its inputs. */
  readonly languageModel: LanguageModel | null;
  /** Reads a batch. `random` feeds dropout; null is inference. */
  read(batch: TaskBatch, random: Random | null, options?: ReadingOptions): TaskStates;
  /** Summaries `[n, width]` → what the head says, `[n, outputs]`. */
  answer(summaries: Tensor, random: Random | null): Tensor;
  /** Leaves nothing to train but the head and, where it is new to the model, the token whose state the head reads. */
  freezeBody(extractId: number): void;
  /** What an optimizer trains. */
  trainable(withLanguageModel: boolean): Map<string, Parameter>;
}

/** How a model of a task is kept in a folder. */
export interface TaskStorage {
  config(ids: SpecialIds & { readonly padding: number }): ModelConfig;
  /** What adapters change is added to the matrices. */
  tensors(): WritableTensor[];
  /** @throws {CheckpointError} when tensors are missing, unexpected or of another shape. */
  load(source: TensorSource): Promise<void>;
  /** Every parameter and its name in the folder. */
  bindings(): readonly TensorBinding[];
}

/**
 * A language model with a linear head on the hidden state of the last token, where a trained token stands that means
 * "now answer": P(y | x) = softmax(h W_y).
 *
 * @see Radford et al. (2018), sections 3.2 and 3.3.
 */
export class DecoderTaskModel implements TaskModel {
  readonly description: TaskDescription;
  readonly body: LanguageModel;
  /** `[outputs, width]`: a row a class, or one for a score. */
  readonly score: Parameter;
  readonly #headDropout: number;
  /** Row of the extract token in the embedding of a frozen body, `[1, width]`; null where all of the body is trained. */
  #extract: Parameter | null = null;

  /** The head starts with normal numbers of standard deviation 0.02, or unset without a generator. */
  constructor(description: TaskDescription, body: LanguageModel, random: Random | null, headDropout = 0) {
    const outputs = Math.max(description.labels.length, 1);
    this.description = description;
    this.body = body;
    this.score = new Initializer(body.backend, random).normal([outputs, body.outputWeight.axis(1)], 0.02);
    this.#headDropout = headDropout;
  }

  get backend(): Backend {
    return this.body.backend;
  }

  get head(): ReadonlyMap<string, Parameter> {
    return new Map([["score.weight", this.score]]);
  }

  get languageModel(): LanguageModel {
    return this.body;
  }

  freezeBody(extractId: number): void {
    const { tokenEmbedding } = freeze(this.body);
    this.#extract = Parameter.rowOf(tokenEmbedding, extractId);
  }

  read(batch: TaskBatch, random: Random | null, { recompute = false }: ReadingOptions = {}): TaskStates {
    if (this.#extract && recordsTape()) {
      const summaries = lastStates(this.body, this.#extract, batch, random);
      return { hidden: summaries.reshape([batch.batch, 1, -1]), summaries };
    }
    const ids = Tensor.from(this.backend, batch.ids, [batch.batch, batch.time]);
    const hidden = this.body.forward(ids, { random, recompute });
    const last = batch.lengths.map((length, b) => b * batch.time + length - 1);
    const rows = hidden.reshape([batch.batch * batch.time, -1]);
    return { hidden, summaries: rows.gatherRows(Tensor.from(this.backend, last, [batch.batch])) };
  }

  answer(summaries: Tensor, random: Random | null): Tensor {
    return dropOut(summaries, this.#headDropout, random).matmul(this.score, { transposeB: true });
  }

  /** An output layer of its own takes part only where a language model's loss does. */
  trainable(withLanguageModel: boolean): Map<string, Parameter> {
    const isUsed = ([name, parameter]: [string, Parameter]): boolean =>
      parameter.requiresGrad && (withLanguageModel || !isUnusedOutput(this.body, name, parameter));
    const own = [...parameters(this)].filter(isUsed);
    return new Map(this.#extract ? [...own, ["extractEmbedding", this.#extract]] : own);
  }
}

/** A fine-tuned model and the family of its body. */
export interface LoadedTaskModel {
  readonly model: DecoderTaskModel;
  readonly family: ModelFamily;
}

const Stored = z.object({
  task: z.enum(taskKinds),
  columns: z.object({ texts: z.array(z.string()), label: z.string(), choices: z.string() }),
  tokens: z.object({ start: z.string(), delimiter: z.string(), extract: z.string() }),
});

/** Whether a folder's config is one that `stemma finetune` has written. */
export function isTaskModel(config: ModelConfig): boolean {
  return Stored.safeParse((config.task_specific_params as Record<string, unknown> | undefined)?.stemma).success;
}

/** How a fine-tuned model is opened. */
export interface TaskOpening {
  readonly weights: WeightChoice;
  readonly headDropout?: number;
  /** As {@link addAdapters} takes them. */
  readonly adapters?: readonly string[];
}

/**
 * Opens a folder that `stemma finetune` has written.
 *
 * @throws {CheckpointError} when it is another kind of model, or damaged.
 */
export async function openTaskModel(
  folder: ModelFolder,
  backend: Backend,
  { weights, headDropout = 0, adapters = [] }: TaskOpening,
): Promise<LoadedTaskModel> {
  const { config, path, tensors } = folder;
  const family = familyOf(config, path);
  const description = readDescription(config, path);
  const body = await createEmpty(family, folder, backend, null, weights);
  const model = new DecoderTaskModel(description, body, null, headDropout);
  const placements = classifierPlacements(family, body, model.score);
  await loadClassifier(family, placements, tensors);
  const target = { family, model: body, placements };
  await addAdapters({ ...target, hasWhole: true }, folder.adapters ?? []);
  await addAdapters(target, adapters);
  return { model, family };
}

/**
 * What a fine-tuned model was taught: `stemma finetune` writes it into the config; of others' classifiers the
 * architecture and the names of the classes say it.
 *
 * @throws {CheckpointError} when the config is not one of a classifier.
 */
export function readDescription(config: ModelConfig, path: string): TaskDescription {
  const { task_specific_params: specific } = config as Record<string, Record<string, unknown> | undefined>;
  const stored = Stored.safeParse(specific?.stemma);
  const description = stored.success ? stored.data : describeOther(config, path);
  const names = classNames(config);
  return { ...description, labels: givesScore(description.task, names) ? [] : names };
}

function describeOther(config: ModelConfig, path: string): Omit<TaskDescription, "labels"> {
  const [architecture = ""] = architecturesOf(config);
  const [, head] = /For(SequenceClassification|MultipleChoice)$/.exec(architecture) ?? [];
  if (head !== undefined && classNames(config)[0] === rewardLabel) {
    throw new CheckpointError(
      `${path}: is a reward model, which knows no classes; stemma reward --check measures it, stemma ppo trains with it`,
    );
  }
  if (head === undefined) {
    const what = architecture === "" ? "no model of a task" : `a ${architecture}, not a model of a task`;
    throw new CheckpointError(`${path}: is ${what}; stemma finetune teaches it one, stemma generate asks it as it is`);
  }
  if (config.problem_type === "multi_label_classification") {
    throw new CheckpointError(
      `${path}: tells for each class whether it is there; only models that choose one are asked`,
    );
  }
  const task = head === "MultipleChoice" ? "multiple-choice" : "classification";
  return { task, columns: defaultColumns[task], tokens: null };
}

/** One output is a score; it has a name in the config only because the format wants one. */
function givesScore(task: TaskKind, names: readonly string[]): boolean {
  return task === "multiple-choice" || names.length < 2;
}

/** What a config says of the task: names of classes as `transformers` has them, and what only this package reads. */
export function storedDescription({ labels, ...stored }: TaskDescription): ModelConfig {
  const names = labels.length > 0 ? labels : ["score"];
  return {
    id2label: Object.fromEntries(names.entries()),
    label2id: Object.fromEntries(names.map((label, id) => [label, id])),
    problem_type: labels.length > 0 ? "single_label_classification" : "regression",
    task_specific_params: { stemma: stored },
  };
}

/** How a fine-tuned decoder is kept in a folder: as `transformers` opens it for sequence classification. */
export function decoderStorage(family: ModelFamily, model: DecoderTaskModel): TaskStorage {
  const { description, body, score } = model;
  const placements = (): Placement[] => classifierPlacements(family, body, score);
  return {
    config(ids) {
      const config = family.writeConfig(body.settings, ids);
      return {
        ...config,
        architectures: classifierArchitectures(config),
        pad_token_id: ids.padding,
        ...storedDescription(description),
      };
    },
    tensors: () => mergedTensors(placements(), body),
    load: (source) => loadClassifier(family, placements(), source),
    bindings: () => [...family.tensors(body), { name: "score.weight", parameter: score, transposed: false }],
  };
}
