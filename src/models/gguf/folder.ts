import type { GgufFile } from "../../checkpoint/gguf.ts";
import type { GgufValue } from "../../checkpoint/gguf-values.ts";
import type { ModelFolder } from "../../checkpoint/model-folder.ts";
import { CheckpointError, UnsupportedError } from "../../core/errors.ts";
import type { JsonObject } from "../../files/json.ts";
import type { ModelConfig } from "../family.ts";
import { GgufFolderTensors } from "./folder-tensors.ts";
import type { GgufKey, GgufLayout } from "./layout.ts";
import { ggufLayouts } from "./layout.ts";
import { scalingConfig } from "./rotary.ts";

/**
 * An open GGUF file as if it were a model folder: its metadata as a config.json, its tensors under the folder's names
 * and in the folder's arrangement. Closing it closes the file.
 *
 * @throws {UnsupportedError} when the file is of an architecture that is not known here.
 * @throws {CheckpointError} when metadata are missing or contradict each other.
 */
export async function ggufAsFolder(file: GgufFile): Promise<ModelFolder> {
  const layout = layoutOf(file);
  const read = (key: string): GgufValue | undefined => file.metadata.get(`${layout.architecture}.${key}`);
  const numbers = numbersOf(layout, file, read);
  const counts = { heads: Number(numbers[layout.heads.config]), keyValueHeads: Number(numbers[layout.heads.keyValue]) };
  const tensors = new GgufFolderTensors(file, layout, counts);
  const config = {
    model_type: layout.modelType,
    ...layout.fixed,
    ...numbers,
    ...(await scalingConfig(numbers, read, file)),
    vocab_size: file.info("token_embd.weight").shape[0] ?? 0,
    tie_word_embeddings: true, // where the output layer is another matrix, reading finds out
  };
  return { path: file.name, config: config as JsonObject, generationConfig: null, tensors, close: () => file.close() };
}

function layoutOf({ name, metadata }: GgufFile): GgufLayout {
  const parts = numberOf(metadata.get("split.count"));
  if (parts !== null && parts > 1) {
    throw new UnsupportedError(
      `${name}: is one of ${parts} parts of a model; join them first (llama-gguf-split --merge)`,
    );
  }
  const architecture = metadata.get("general.architecture");
  if (architecture?.type !== "string")
    throw new CheckpointError(`${name}: has no general.architecture; it is no model`);
  const experts = numberOf(metadata.get(`${architecture.value}.expert_count`)) ?? 0;
  const layout = ggufLayouts.find(
    (candidate) => candidate.architecture === architecture.value && candidate.hasExperts === experts > 0,
  );
  if (layout) return layout;
  const known = [...new Set(ggufLayouts.map((candidate) => candidate.architecture))].join(", ");
  throw new UnsupportedError(
    `${name}: is a model of the architecture ${JSON.stringify(architecture.value)}${experts > 0 ? " with experts" : ""}; known are ${known}`,
  );
}

function numbersOf(
  { keys, architecture }: GgufLayout,
  { name }: GgufFile,
  read: (key: string) => GgufValue | undefined,
): ModelConfig {
  const config: ModelConfig = {};
  for (const key of keys) {
    const value = numberOf(read(key.gguf)) ?? key.otherwise?.(config);
    const where = `${name}: ${architecture}.${key.gguf}`;
    if (value === undefined) throw new CheckpointError(`${where} is missing or no number; the file is incomplete`);
    const rounded = roundAs(key, value);
    if (config[key.config] !== undefined && config[key.config] !== rounded) {
      throw new CheckpointError(
        `${where} is ${rounded}, ${config[key.config]} is expected; such a model cannot be read`,
      );
    }
    config[key.config] = rounded;
  }
  return config;
}

/** 1e-5 rather than 0.000009999999747378752, which is the same number in float32. */
function roundAs({ type }: GgufKey, value: number): number {
  return type === "float32" ? Number(value.toPrecision(7)) : value;
}

function numberOf(value: GgufValue | undefined): number | null {
  return value === undefined || value.type === "array" || value.type === "string" || value.type === "bool"
    ? null
    : Number(value.value);
}
