import type { Backend } from "../backend/kernels.ts";
import { openModelFolder } from "../checkpoint/model-folder.ts";
import type { AnyFamily, ModelFamily } from "./family.ts";
import type { StoredModel } from "./language-model.ts";
import { refuseOtherHead } from "./other-heads.ts";
import type { LoadedModel, MissingParts } from "./read-model.ts";
import { anyFamilyIn, readModel, readModelOf } from "./read-model.ts";

/**
 * Opens a model folder in the Hugging Face layout, anyone's or ours.
 *
 * @throws {CheckpointError} when the folder is missing or damaged, or as {@link readModel} does.
 */
export async function loadModel(path: string, backend: Backend): Promise<LoadedModel> {
  const folder = await openModelFolder(path);
  try {
    return await readModel(folder, backend);
  } finally {
    await folder.close();
  }
}

/**
 * Opens a model folder that has to be of one family.
 *
 * @param missing - What becomes of heads that it lacks; without it, all must be there.
 * @throws {CheckpointError} as {@link loadModel}, and when the folder is of another family.
 */
export async function loadModelOf<Settings, Model extends StoredModel>(
  family: ModelFamily<Settings, Model>,
  path: string,
  backend: Backend,
  missing: MissingParts | null = null,
): Promise<Model> {
  const folder = await openModelFolder(path);
  try {
    return await readModelOf(family, folder, backend, missing);
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
  const { config, close } = await openModelFolder(path);
  await close();
  return anyFamilyIn(config, path);
}

/**
 * {@link familyIn} of a model that is going to be asked for text.
 *
 * @throws {CheckpointError} as there, and when its head is not that of a language model, saying which command asks it.
 */
export async function speakingFamilyIn(path: string): Promise<AnyFamily> {
  const { config, close } = await openModelFolder(path);
  await close();
  const family = anyFamilyIn(config, path);
  refuseOtherHead(config, path);
  return family;
}
