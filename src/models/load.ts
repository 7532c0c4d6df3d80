import type { Backend } from "../backend/kernels.ts";
import { openGguf } from "../checkpoint/gguf.ts";
import type { ModelFolder } from "../checkpoint/model-folder.ts";
import { openModelFolder } from "../checkpoint/model-folder.ts";
import { isGgufPath } from "../files/gguf-path.ts";
import { adapterAsFolder, baseOfAdapter, isAdapterFolder } from "./adapter-folder.ts";
import { addAdapters } from "./added-adapters.ts";
import type { AnyFamily, ModelFamily } from "./family.ts";
import { ggufAsFolder } from "./gguf/folder.ts";
import type { StoredModel } from "./language-model.ts";
import { refuseOtherHead } from "./other-heads.ts";
import type { LoadedModel, ReadingChoice } from "./read-model.ts";
import { anyFamilyIn, readModel, readModelOf } from "./read-model.ts";
import type { WeightChoice } from "./weight-choice.ts";

/**
 * Opens a model folder, or a GGUF file or the folder of an adapter as if it were one. Weights are read on demand; close it
 * when done.
 *
 * @throws {CheckpointError} as {@link openModelFolder}, or when a GGUF file is damaged or incomplete.
 * @throws {UnsupportedError} when a GGUF file is of an architecture that is not known here.
 */
export async function openModel(path: string): Promise<ModelFolder> {
  if (isAdapterFolder(path)) return openAdapted(path);
  if (!isGgufPath(path)) return openModelFolder(path);
  const file = await openGguf(path);
  try {
    return await ggufAsFolder(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** An adapter's folder with its base, which may be an adapter's too. */
async function openAdapted(path: string): Promise<ModelFolder> {
  const base = await openModel(await baseOfAdapter(path));
  return adapterAsFolder(path, base).catch(async (error: unknown) => {
    await base.close();
    throw error;
  });
}

/**
 * Opens a model folder in the Hugging Face layout, anyone's or ours, or a GGUF file as if it were one.
 *
 * @param weights - How the matrices lie in memory; all but float32, the default, are frozen.
 * @param adapters - What is added to the matrices, as {@link addAdapters} takes it.
 * @throws {CheckpointError} when the folder is missing or damaged, or as {@link readModel} and {@link addAdapters} do.
 * @throws {UnsupportedError} when a GGUF file is of an architecture, or has tensors of a type, that is not known here.
 */
export async function loadModel(
  path: string,
  backend: Backend,
  weights: WeightChoice = "float32",
  adapters: readonly string[] = [],
): Promise<LoadedModel> {
  const folder = await openModel(path);
  try {
    const loaded = await readModel(folder, backend, weights);
    await addAdapters({ ...loaded, hasWhole: true }, folder.adapters ?? []);
    await addAdapters(loaded, adapters);
    return loaded;
  } finally {
    await folder.close();
  }
}

/** How the folder of one family is opened. */
export interface OpeningChoice extends ReadingChoice {
  /** What is added to the matrices, as {@link addAdapters} takes it. */
  readonly adapters?: readonly string[];
}

/**
 * Opens a model folder that has to be of one family.
 *
 * @throws {CheckpointError} as {@link loadModel}, and when the folder is of another family.
 */
export async function loadModelOf<Settings, Model extends StoredModel>(
  family: ModelFamily<Settings, Model>,
  path: string,
  backend: Backend,
  { adapters = [], ...reading }: OpeningChoice = {},
): Promise<Model> {
  const folder = await openModel(path);
  try {
    const model = await readModelOf(family, folder, backend, reading);
    await addAdapters({ family, model, hasWhole: true }, folder.adapters ?? []);
    await addAdapters({ family, model }, adapters);
    return model;
  } finally {
    await folder.close();
  }
}

/**
 * The family of the model in a folder, whatever its architecture.
 *
 * @throws {CheckpointError} when the folder is missing or damaged, or its `model_type` is not one of ours.
 */
export async function familyIn(path: string): Promise<AnyFamily> {
  const { config, close } = await openModel(path);
  await close();
  return anyFamilyIn(config, path);
}

/**
 * {@link familyIn} of a model that is going to be asked for text.
 *
 * @throws {CheckpointError} as there, and when its head is not that of a language model, saying which command asks it.
 */
export async function speakingFamilyIn(path: string): Promise<AnyFamily> {
  const { config, close } = await openModel(path);
  await close();
  const family = anyFamilyIn(config, path);
  refuseOtherHead(config, path);
  return family;
}
