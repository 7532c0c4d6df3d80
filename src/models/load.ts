import type { Backend } from "../backend/kernels.ts";
import { openModelFolder } from "../checkpoint/model-folder.ts";
import type { TensorSource, WritableTensor } from "../checkpoint/tensor-source.ts";
import { CheckpointError } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import { formatShape } from "../core/shape.ts";
import { Initializer } from "../nn/parameters.ts";
import type { ModelConfig, ModelFamily, TensorBinding } from "./family.ts";
import { families } from "./index.ts";
import type { LanguageModel } from "./language-model.ts";

/** A model and the family that made it. */
export interface LoadedModel {
  readonly model: LanguageModel;
  readonly family: ModelFamily;
}

/**
 * Opens a model folder in the Hugging Face layout, anyone's or ours.
 *
 * @throws {CheckpointError} when the folder is missing or damaged, its `model_type` is not one of ours, a config key is
 * not supported, or tensors are missing, unexpected or of another shape.
 */
export async function loadModel(path: string, backend: Backend): Promise<LoadedModel> {
  const folder = await openModelFolder(path);
  try {
    const family = familyOf(folder.config, path);
    const model = family.create(family.readConfig(folder.config), new Initializer(backend, null));
    await loadTensors(family, model, folder.tensors);
    return { model, family };
  } finally {
    await folder.close();
  }
}

/** Reads every parameter of a model from a file that holds the same model. */
export async function loadTensors(family: ModelFamily, model: LanguageModel, source: TensorSource): Promise<void> {
  const bindings = family.tensors(model);
  const stored = matchNames(family, bindings, source);
  for (const { name, parameter, transposed } of bindings) {
    const values = await source.read(stored.get(name) ?? name);
    parameter.write(transposed ? transpose(values, parameter.shape.toReversed()) : values);
  }
}

/** The parameters of a model as its folder stores them. */
export function storedTensors(family: ModelFamily, model: LanguageModel): WritableTensor[] {
  return family.tensors(model).map(({ name, parameter, transposed }) => ({
    name,
    shape: transposed ? parameter.shape.toReversed() : parameter.shape,
    async read() {
      const values = Float32Array.from(await parameter.read());
      return transposed ? transpose(values, parameter.shape) : values;
    },
  }));
}

/**
 * The family that a config.json names.
 *
 * @throws {CheckpointError} when it is not one of ours, naming `path`.
 */
export function familyOf(config: ModelConfig, path: string): ModelFamily {
  const known: readonly ModelFamily[] = Object.values(families);
  const family = known.find(({ modelType }) => modelType === config.model_type);
  if (family) return family;
  throw new CheckpointError(
    `${path}: config.json has model_type ${JSON.stringify(config.model_type)}, which is not supported; ` +
      `known are ${known.map(({ modelType }) => modelType).join(", ")}`,
  );
}

/** Which tensor of the file is which of ours: the same name, with or without the optional prefix. */
function matchNames(
  family: ModelFamily,
  bindings: readonly TensorBinding[],
  source: TensorSource,
): ReadonlyMap<string, string> {
  const strip = (name: string): string =>
    name.startsWith(family.optionalPrefix) ? name.slice(family.optionalPrefix.length) : name;
  const inFile = new Map(source.names().map((name) => [strip(name), name]));
  const missing: string[] = [];
  const misshapen: string[] = [];
  const stored = new Map<string, string>();
  for (const { name, parameter, transposed } of bindings) {
    const found = inFile.get(strip(name));
    inFile.delete(strip(name));
    const expected: Shape = transposed ? parameter.shape.toReversed() : parameter.shape;
    if (found === undefined) missing.push(`${strip(name)} ${formatShape(expected)}`);
    else {
      stored.set(name, found);
      const { shape } = source.info(found);
      if (formatShape(shape) !== formatShape(expected)) {
        misshapen.push(`${found} is ${formatShape(shape)} where the config asks for ${formatShape(expected)}`);
      }
    }
  }
  const extra = [...inFile.values()].filter((name) => !family.ignoredTensors.test(name));
  complain(source, misshapen, "of another shape");
  complain(source, missing, "missing");
  complain(source, extra, "not part of the model that config.json describes");
  return stored;
}

function complain(source: TensorSource, names: readonly string[], what: string): void {
  if (names.length === 0) return;
  const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
  throw new CheckpointError(
    `${source.name}: ${names.length} of the tensors ${names.length === 1 ? "is" : "are"} ${what}: ` +
      `${names.slice(0, 3).join("; ")}${more}; check that config.json and the weights belong together`,
  );
}

/** `[rows, columns]` in row-major order → `[columns, rows]`. Blocked, so that both sides stay in the cache. */
function transpose(values: Float32Array, [rows = 0, columns = 0]: Shape): Float32Array {
  const block = 32;
  const out = new Float32Array(values.length);
  for (let top = 0; top < rows; top += block) {
    for (let left = 0; left < columns; left += block) {
      const [bottom, right] = [Math.min(top + block, rows), Math.min(left + block, columns)];
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          out[column * rows + row] = values[row * columns + column] ?? 0;
        }
      }
    }
  }
  return out;
}
