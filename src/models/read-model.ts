import { demandMemory } from "../backend/demand-memory.ts";
import type { Backend } from "../backend/kernels.ts";
import type { Placement } from "../checkpoint/assign-tensors.ts";
import { assignTensors } from "../checkpoint/assign-tensors.ts";
import type { ModelFolder } from "../checkpoint/model-folder.ts";
import type { TensorSource, WritableTensor } from "../checkpoint/tensor-source.ts";
import { CheckpointError, MemoryError, SettingsError, StemmaError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import { elementCount } from "../core/shape.ts";
import { isAdapterPath } from "../nn/low-rank.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import { encoderDecoders } from "./encoder-decoders/index.ts";
import { encoders } from "./encoders.ts";
import type { AnyFamily, Architecture, ModelConfig, ModelFamily, TensorBinding } from "./family.ts";
import { families, otherFamilies } from "./index.ts";
import type { LanguageModel, StoredModel } from "./language-model.ts";
import { mergedTensors } from "./low-rank-adapters.ts";
import { refuseOtherHead } from "./other-heads.ts";
import { refuseQuantizedWeights } from "./quantized-weights.ts";
import { describeConfig } from "./telling-keys.ts";
import { holdsOwnHead, lackingParts, refuseOtherCopies, renaming } from "./tensor-names.ts";
import type { WeightChoice, WeightPlan } from "./weight-choice.ts";
import { planWeights } from "./weight-choice.ts";

/** Key of a config that says that a decoder is a prefix language model; `transformers` has none. */
export const prefixKey = "prefix_lm";

/** A model and the family that made it. */
export interface LoadedModel {
  readonly model: LanguageModel;
  readonly family: ModelFamily;
}

/** A config.json and its weights, wherever they are; `path` is what messages call them. */
export type ModelSource = Pick<ModelFolder, "path" | "config" | "tensors"> &
  Partial<Pick<ModelFolder, "generationConfig">>;

/**
 * The decoder that a config.json and its weights describe, anyone's or ours.
 *
 * @param weights - How its matrices lie in memory: all but float32 are frozen.
 * @throws {CheckpointError} when its `model_type` is not one of ours, a config key is not supported, or tensors are
 * missing, unexpected or of another shape.
 */
export async function readModel(
  source: ModelSource,
  backend: Backend,
  weights: WeightChoice = "float32",
): Promise<LoadedModel> {
  const { config, path, tensors } = source;
  const family = familyOf(config, path);
  refuseOtherHead(config, path);
  const model = await createEmpty(family, source, backend, null, weights);
  await saying(config, loadTensors(family, model, tensors));
  if (config[prefixKey] === true) model.readsPrefix = true;
  return { model, family };
}

/** What becomes of heads that a folder lacks because its task needs none. */
export interface MissingParts {
  /** Where they start from; null leaves them unset, for who reads none of them. */
  readonly random: Random | null;
  /** Is told their tensors' names, and throws where one of them is needed. */
  readonly report: (names: readonly string[]) => void;
}

/** How the model of one family is read. */
export interface ReadingChoice {
  /** What becomes of heads that a folder lacks; without it, all must be there. */
  readonly missing?: MissingParts | null;
  /** How its matrices lie in memory: all but float32, the default, are frozen. */
  readonly weights?: WeightChoice;
}

/**
 * {@link readModel} for a model that has to be of one family, whatever its architecture.
 *
 * @throws {CheckpointError} as there, and when it is of another family.
 */
export async function readModelOf<Settings, Model extends StoredModel>(
  family: ModelFamily<Settings, Model>,
  source: ModelSource,
  backend: Backend,
  { missing = null, weights = "float32" }: ReadingChoice = {},
): Promise<Model> {
  const { config, path, tensors } = source;
  if (config.model_type !== family.modelType) {
    throw new CheckpointError(
      `${path}: config.json has ${faultOf(config)}; a ${family.modelType} folder is wanted here`,
    );
  }
  let model = await createEmpty(family, source, backend, null, weights);
  const lacking = missing ? lackingParts(family, modelPlacements(family, model), tensors) : [];
  if (lacking.length > 0) missing?.report(lacking);
  if (lacking.length > 0 && missing?.random) {
    for (const parameter of parameters(model).values()) parameter.release();
    model = await createEmpty(family, source, backend, missing.random, weights);
  }
  await saying(config, loadTensors(family, model, tensors, lacking));
  return model;
}

/** An error about weights also says what the config had asked for. */
async function saying<Result>(config: ModelConfig, loading: Promise<Result>): Promise<Result> {
  return loading.catch((error: unknown) => {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`${error.message} (${describeConfig(config)})`, { cause: error });
  });
}

/**
 * The model that a folder's config describes, its weights unset without a generator. Its output layer is its own where
 * the weights hold one that is not the embedding.
 *
 * @throws {CheckpointError} when the config asks for something impossible, or for a model far larger than the folder's
 * weights, which a damaged number easily does.
 * @throws {MemoryError} when there is no memory for the weights.
 */
export async function createEmpty<Settings, Model extends StoredModel>(
  family: ModelFamily<Settings, Model>,
  source: ModelSource,
  backend: Backend,
  random: Random | null = null,
  weights: WeightChoice = "float32",
): Promise<Model> {
  const { config, path } = source;
  try {
    const { plan, create, stored } = await planOf(family, source, weights, random);
    demandMemory(backend, plan.bytes, `${path}: its ${stored.toLocaleString("en-US")} weights`, "take a smaller model");
    return create(backend, plan.formats).model;
  } catch (error) {
    // JavaScript's own limits speak where a number is beyond even them.
    if (error instanceof MemoryError || error instanceof SettingsError) throw error;
    if (!(error instanceof StemmaError || error instanceof RangeError)) throw error;
    const fault = error.message.replace(/^config\.json: /, "");
    throw new CheckpointError(`${path}: config.json: ${fault} (${describeConfig(config)})`, { cause: error });
  }
}

/** How a model that a folder's config describes is made, and in which formats. */
async function planOf<Settings, Model extends StoredModel>(
  family: ModelFamily<Settings, Model>,
  source: ModelSource,
  choice: WeightChoice,
  random: Random | null,
): Promise<{
  plan: WeightPlan;
  create: (on: Backend, formats: WeightPlan["formats"]) => { model: Model; init: Initializer };
  stored: number;
}> {
  const { config, tensors } = source;
  const stored = tensors.names().reduce((sum, name) => sum + elementCount(tensors.info(name).shape), 0);
  const settings = family.readConfig({ ...config, ...sayings(family, source) });
  const { tiedEmbeddings = false } = settings as { readonly tiedEmbeddings?: boolean };
  const isOwn = tiedEmbeddings && (await holdsOwnHead(family, tensors));
  const actual = isOwn ? { ...settings, tiedEmbeddings: false } : settings;
  const mostNumbers = 2 ** 20 + 8 * stored;
  const create = (on: Backend, formats: WeightPlan["formats"]): { model: Model; init: Initializer } => {
    const init = new Initializer(on, random, mostNumbers, formats);
    return { model: family.create(actual, init), init };
  };
  const placementsOf = (model: Model): Placement[] => modelPlacements(family, model);
  return { plan: planWeights(create, { family, tensors, choice, stored }, placementsOf), create, stored };
}

/**
 * The formats in which the matrices of a folder's model lie when it is opened as stored.
 *
 * @throws {CheckpointError} when the config asks for something impossible.
 */
export async function storedFormats(family: ModelFamily, source: ModelSource): Promise<WeightPlan["formats"]> {
  return (await planOf(family, source, "stored", null)).plan.formats;
}

/** What `generation_config.json` says of a model rather than of how it is asked. */
function sayings(
  { generationKeys = [] }: Pick<AnyFamily, "generationKeys">,
  { generationConfig }: ModelSource,
): ModelConfig {
  return Object.fromEntries(Object.entries(generationConfig ?? {}).filter(([key]) => generationKeys.includes(key)));
}

/**
 * Reads every parameter of a model from a file that holds the same model, but those that it is known to lack.
 *
 * @throws {CheckpointError} when tensors are missing, unexpected or of another shape; the model is then as it was.
 */
export async function loadTensors(
  family: AnyFamily,
  model: StoredModel,
  source: TensorSource,
  lacking: readonly string[] = [],
): Promise<void> {
  refuseQuantizedWeights(source);
  await refuseOtherCopies(family, source);
  const placements = modelPlacements(family, model).filter(({ name }) => !lacking.includes(name));
  await assignTensors(placements, source, renaming(family, placements, source));
}

/** The parameters of a model as its folder stores them, with the change of adapters in the matrices. */
export function storedTensors(family: AnyFamily, model: StoredModel): WritableTensor[] {
  return mergedTensors(modelPlacements(family, model), model);
}

/** Where every parameter of a model lies in its folder; adapters have files of their own. */
export function modelPlacements(family: AnyFamily, model: StoredModel): Placement[] {
  return placementsOf(family.tensors(model));
}

/** {@link modelPlacements} of the parameters that are listed. */
export function placementsOf(bindings: readonly TensorBinding[]): Placement[] {
  return bindings
    .filter(({ name }) => !isAdapterPath(name))
    .map(({ parameter, ...stored }) => ({ ...stored, tensor: parameter }));
}

const allFamilies: readonly AnyFamily[] = [
  ...Object.values(families),
  otherFamilies.bert,
  ...encoderDecoders,
  ...Object.values(encoders)
    .map(({ words }) => words)
    .filter((family) => family !== otherFamilies.bert),
];

/**
 * The family that a config.json names, whatever its architecture.
 *
 * @throws {CheckpointError} when its `model_type` is not one of ours.
 */
export function anyFamilyIn(config: ModelConfig, path: string): AnyFamily {
  const family = anyFamilyOf(config);
  if (family) return family;
  throw new CheckpointError(`${path}: config.json has ${faultOf(config)}; known are ${typesOf(allFamilies)}`);
}

function anyFamilyOf({ model_type: type }: ModelConfig): AnyFamily | undefined {
  return allFamilies.find(({ modelType }) => modelType === type);
}

function typesOf(list: readonly AnyFamily[]): string {
  return list.map(({ modelType }) => modelType).join(", ");
}

/**
 * The decoder family that a config.json names.
 *
 * @throws {CheckpointError} when it is not one of ours, or of another shape, naming `path`.
 */
export function familyOf(config: ModelConfig, path: string): ModelFamily {
  const known: readonly ModelFamily[] = Object.values(families);
  const family = known.find(({ modelType }) => modelType === config.model_type);
  if (family) return family;
  const { architecture = "decoder" } = anyFamilyOf(config) ?? {};
  const remedy =
    architecture === "decoder" ? `known are ${typesOf(known)}` : `this is for decoders; ${usesOf[architecture]}`;
  throw new CheckpointError(`${path}: config.json has ${faultOf(config)}; ${remedy}`);
}

/** What a model that is no decoder is for. */
const usesOf: Readonly<Record<Exclude<Architecture, "decoder">, string>> = {
  encoder: "stemma embed makes vectors with this one, stemma finetune teaches it, stemma generate fills in its masks",
  "encoder-decoder": "stemma seq2seq teaches this one, stemma generate asks it",
};

/** What is wrong with the `model_type` of a config that should have had another. */
function faultOf(config: ModelConfig): string {
  const { model_type: type } = config;
  if (type === undefined) return "no model_type";
  const other = anyFamilyOf(config);
  const why = other ? `which is another shape of model (${other.summary})` : "which is not supported";
  return `model_type ${JSON.stringify(type)}, ${why}`;
}
