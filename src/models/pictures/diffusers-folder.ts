import { join } from "node:path";
import type { Backend } from "../../backend/kernels.ts";
import type { Placement } from "../../checkpoint/assign-tensors.ts";
import { assignTensors, writableTensors } from "../../checkpoint/assign-tensors.ts";
import { refuseForeignFiles } from "../../checkpoint/model-folder.ts";
import { safetensorsChunks } from "../../checkpoint/safetensors.ts";
import { openSafetensors } from "../../checkpoint/safetensors-file.ts";
import { CheckpointError } from "../../core/errors.ts";
import { elementCount } from "../../core/shape.ts";
import { writeFolderAtomic, writeStream } from "../../files/atomic-write.ts";
import type { JsonObject } from "../../files/json.ts";
import { formatJson, sortKeys } from "../../files/json.ts";
import { readJsonObject } from "../../files/json-file.ts";
import type { Parameter } from "../../nn/parameters.ts";
import { Initializer, parameters } from "../../nn/parameters.ts";

/** The weights of a part of a pipeline, as diffusers calls their file. */
const weightsFile = "diffusion_pytorch_model.safetensors";
/** Keys whose numbers are floats, so that 1 is written as 1.0. */
const floatKeys = new Set([
  "dropout",
  "norm_eps",
  "mid_block_scale_factor",
  "resnet_out_scale_factor",
  "scaling_factor",
]);

/** How a model of pictures lies in a folder of diffusers, as one part of a pipeline or by itself. */
export interface DiffusersPart<Settings, Model extends object> {
  readonly className: string;
  /** @throws {CheckpointError} naming the key, when a value is missing, wrong, or asks for something not supported. */
  readConfig(config: JsonObject): Settings;
  writeConfig(settings: Settings): JsonObject;
  settingsOf(model: Model): Settings;
  create(settings: Settings, init: Initializer): Model;
  /** From paths of ours to names in files, one after the other. */
  readonly renamings: readonly (readonly [RegExp, string])[];
  /** From other names in files, which older versions wrote, to those. */
  readonly spellings?: readonly (readonly [RegExp, string])[];
  /** How a parameter is stored, where that is not by its shape alone. */
  stored?(name: string, parameter: Parameter, settings: Settings): Partial<Placement>;
}

/** Every parameter with its name in the file; those of four axes are filters, whose channels stand elsewhere there. */
export function placementsOf<Settings, Model extends object>(
  part: DiffusersPart<Settings, Model>,
  model: Model,
): Placement[] {
  const settings = part.settingsOf(model);
  return [...parameters(model)].map(([path, tensor]) => {
    const name = respelled(path, part.renamings);
    return { name, tensor, filters: tensor.shape.length === 4, ...part.stored?.(name, tensor, settings) };
  });
}

/**
 * Opens the model of someone's folder, one part of a pipeline or a folder by itself.
 *
 * @throws {FileError} when a file cannot be read.
 * @throws {CheckpointError} when it is of another class, asks for something not supported, or is damaged.
 */
export async function openDiffusersPart<Settings, Model extends object>(
  part: DiffusersPart<Settings, Model>,
  folder: string,
  backend: Backend,
): Promise<Model> {
  const config = await readJsonObject(join(folder, "config.json"));
  const { _class_name: name = part.className } = config;
  if (name !== part.className) {
    throw new CheckpointError(
      `${folder}: holds a ${JSON.stringify(name)}, not a ${part.className}; name another folder`,
    );
  }
  const settings = part.readConfig(config);
  const source = await openSafetensors(join(folder, weightsFile));
  try {
    const numbers = source.names().reduce((sum, tensor) => sum + elementCount(source.info(tensor).shape), 0);
    const model = part.create(settings, new Initializer(backend, null, numbers));
    await assignTensors(placementsOf(part, model), source, (inFile) => respelled(inFile, part.spellings ?? []));
    return model;
  } finally {
    await source.close();
  }
}

function respelled(name: string, spellings: readonly (readonly [RegExp, string])[]): string {
  return spellings.reduce((text, [from, to]) => text.replace(from, to), name);
}

/**
 * Writes a model as a folder that diffusers opens; it is complete or absent, and replaces nothing but a model.
 *
 * @throws {CheckpointError} when the folder holds other things.
 */
export async function writeDiffusersPart<Settings, Model extends object>(
  part: DiffusersPart<Settings, Model>,
  model: Model,
  path: string,
): Promise<void> {
  await refuseForeignFiles(path, [weightsFile]);
  const config = { _class_name: part.className, ...part.writeConfig(part.settingsOf(model)) };
  await writeFolderAtomic(path, async (folder) => {
    await writeStream(join(folder, "config.json"), formatJson("config.json", sortKeys(config), floatKeys));
    await writeStream(
      join(folder, weightsFile),
      safetensorsChunks(weightsFile, writableTensors(placementsOf(part, model))),
    );
  });
}
