import { z } from "zod";
import type { Backend } from "../backend/kernels.ts";
import type { ModelFolder } from "../checkpoint/model-folder.ts";
import type { TensorSource, WritableTensor } from "../checkpoint/tensor-source.ts";
import { CheckpointError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import type { ForwardOptions } from "../nn/attention.ts";
import type { Parameter } from "../nn/parameters.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import { apply } from "../tensor/op.ts";
import { linear } from "../tensor/ops/matmul.ts";
import { Tensor } from "../tensor/tensor.ts";
import { AdapterOff } from "./adapter-off.ts";
import { addAdapters } from "./added-adapters.ts";
import type { ModelConfig, ModelFamily, SpecialIds } from "./family.ts";
import type { LanguageModel } from "./language-model.ts";
import { loadModel, openModel } from "./load.ts";
import { mergedTensors } from "./low-rank-adapters.ts";
import { architecturesOf, rewardLabel } from "./other-heads.ts";
import { createEmpty, familyOf } from "./read-model.ts";
import { resizeVocabulary } from "./resize-vocabulary.ts";
import {
  classifierArchitectures,
  classifierPlacements,
  isUnusedOutput,
  loadClassifier,
} from "./sequence-classifier.ts";
import type { WeightChoice } from "./weight-choice.ts";

/**
 * A language model with one number in place of its output layer: read at the last token of an answer it is a reward;
 * read at every token it is a critic's value.
 *
 * @see Ouyang et al. (2022), section 3.5, arXiv:2203.02155: the SFT model with its unembedding layer removed.
 */
export class RewardModel {
  readonly body: LanguageModel;
  /** `[1, width]` */
  readonly score: Parameter;
  /** `[1]`: shifts all rewards. Not trained: comparisons say nothing about it. A critic learns its own. */
  readonly bias: Parameter;
  #shift = 0;

  /** The head starts with normal numbers of standard deviation 1/√(width + 1), or unset without a generator. */
  constructor(body: LanguageModel, random: Random | null) {
    const width = body.outputWeight.axis(1);
    const init = new Initializer(body.backend, random);
    this.body = body;
    this.score = init.normal([1, width], 1 / Math.sqrt(width + 1));
    this.bias = init.constant([1], 0);
    this.bias.requiresGrad = false;
  }

  get backend(): Backend {
    return this.body.backend;
  }

  /** What all rewards are shifted by, as the folder's config says it: `transformers` has no place for a bias. */
  get shift(): number {
    return this.#shift;
  }

  set shift(value: number) {
    this.#shift = value;
    this.bias.write(Float32Array.of(value));
  }

  /** What an optimizer trains: all but the bias and an output layer that nothing uses. */
  trainable(): Map<string, Parameter> {
    const isUsed = ([name, parameter]: [string, Parameter]): boolean =>
      parameter.requiresGrad && !isUnusedOutput(this.body, name, parameter);
    return new Map([...parameters(this)].filter(isUsed));
  }

  /**
   * The number at some places of a batch. Shapes: ids int32 `[batch, time]`, places int32 `[n]`, each b · time + t →
   * `[n]`.
   */
  scores(ids: Tensor, places: Int32Array, options: ForwardOptions = {}): Tensor {
    const hidden = this.body.forward(ids, options);
    const rows = hidden.reshape([ids.size, -1]).gatherRows(Tensor.from(this.backend, places, [places.length]));
    return apply(linear, [rows, this.score, this.bias, null], { activation: null }).reshape([-1]);
  }
}

/** A reward model and the family of its body. */
export interface LoadedRewardModel {
  readonly model: RewardModel;
  readonly family: ModelFamily;
}

/** Whether a model folder holds a reward model, by its config. */
export function isRewardModel(config: ModelConfig): boolean {
  return architecturesOf(config).some((name) => name.endsWith("ForSequenceClassification"));
}

/** How a reward model is opened. */
export interface RewardOpening {
  /** How the matrices of its body lie in memory: all but float32, the default, are frozen. */
  readonly weights?: WeightChoice;
  /** What is added to them, as {@link addAdapters} takes it. */
  readonly adapters?: readonly string[];
}

/**
 * Opens the folder of a reward model or, where a generator is given, the one of a language model, which then gets a new
 * head.
 *
 * @throws {CheckpointError} when the folder is missing or damaged, or its head has another number of outputs than 1.
 */
export async function loadRewardModel(
  path: string,
  backend: Backend,
  random: Random | null,
  { weights = "float32", adapters = [] }: RewardOpening = {},
): Promise<LoadedRewardModel> {
  const folder = await openModel(path);
  try {
    if (random === null || isRewardModel(folder.config)) {
      return await openRewardModel(folder, backend, { weights, adapters });
    }
  } finally {
    await folder.close();
  }
  const { model, family } = await loadModel(path, backend, weights, adapters);
  return { model: new RewardModel(model, random), family };
}

/** @throws {CheckpointError} when an open folder holds no reward model, or a damaged one. */
export async function openRewardModel(
  folder: ModelFolder,
  backend: Backend,
  { weights = "float32", adapters = [] }: RewardOpening = {},
): Promise<LoadedRewardModel> {
  const { config, path, tensors } = folder;
  if (!isRewardModel(config)) {
    throw new CheckpointError(
      `${path}: is a ${architecturesOf(config).join(", ") || "model"}, not a reward model; make one with stemma reward`,
    );
  }
  const family = familyOf(config, path);
  refuseClasses(folder);
  const model = new RewardModel(await createEmpty(family, folder, backend, null, weights), null);
  await loadRewardWeights({ model, family }, tensors);
  const placements = classifierPlacements(family, model.body, model.score);
  const target = { family, model: model.body, placements };
  await addAdapters({ ...target, hasWhole: true }, folder.adapters ?? []);
  await addAdapters(target, adapters);
  model.shift = StoredShift.parse(config).task_specific_params.stemma.shift;
  return { model, family };
}

/** @throws {CheckpointError} when the head tells classes apart. */
function refuseClasses({ config, path, tensors }: ModelFolder): void {
  const [classes = 1] = tensors.has("score.weight") ? tensors.info("score.weight").shape : [];
  if (classes === 1) return;
  throw new CheckpointError(
    `${path}: is a classifier of ${classes} classes (${architecturesOf(config).join(", ")}), not a reward model, ` +
      "which gives one number; make one with stemma reward",
  );
}

/**
 * Reads all weights of a reward model from a file that holds the same model.
 *
 * @throws {CheckpointError} when tensors are missing, unexpected or of another shape.
 */
export async function loadRewardWeights({ model, family }: LoadedRewardModel, source: TensorSource): Promise<void> {
  await loadClassifier(family, classifierPlacements(family, model.body, model.score), source);
}

/**
 * The same reward model with rows for more tokens; the one it was made from gives its memory back.
 *
 * @param rows - Tokens; a model that has as many is given back as it is.
 */
export async function withRows({ model, family }: LoadedRewardModel, rows: number): Promise<LoadedRewardModel> {
  if (rows <= model.body.settings.vocabularySize) return { model, family };
  const larger = new RewardModel(await resizeVocabulary(family, model.body, rows), null);
  larger.score.write(Float32Array.from(await model.score.read()));
  larger.shift = model.shift;
  for (const parameter of [model.score, model.bias]) parameter.release();
  return { model: larger, family };
}

/** What an adapted reward model was before, its body in the same memory; the head is a copy. */
export async function withAdapterOff(model: RewardModel): Promise<RewardModel> {
  const before = new RewardModel(new AdapterOff(model.body), null);
  before.score.write(await model.score.floats());
  before.shift = model.shift;
  return before;
}

/**
 * The config of a reward model, as `transformers` opens it for sequence classification with one label.
 *
 * @param padding - Id that fills up batches, or null; never one that an answer ends with.
 */
export function rewardConfig(
  family: ModelFamily,
  model: RewardModel,
  ids: SpecialIds,
  padding: number | null,
): ModelConfig {
  const config = family.writeConfig(model.body.settings, ids);
  return {
    ...config,
    architectures: classifierArchitectures(config),
    id2label: { 0: rewardLabel },
    label2id: { [rewardLabel]: 0 },
    task_specific_params: { stemma: { shift: model.shift } },
    pad_token_id: padding,
  };
}

/** The parameters of a reward model as its folder stores them. */
export function rewardTensors(family: ModelFamily, model: RewardModel): WritableTensor[] {
  return mergedTensors(classifierPlacements(family, model.body, model.score), model.body);
}

const noShift = { stemma: { shift: 0 } };
const StoredShift = z.object({
  task_specific_params: z.object({ stemma: z.object({ shift: z.number() }) }).catch(noShift),
});
