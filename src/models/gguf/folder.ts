import type { GgufFile } from "../../checkpoint/gguf.ts";
import type { GgufValue } from "../../checkpoint/gguf-values.ts";
import type { ModelFolder } from "../../checkpoint/model-folder.ts";
import type { TensorSource } from "../../checkpoint/tensor-source.ts";
import { CheckpointError, UnsupportedError } from "../../core/errors.ts";
import type { JsonObject } from "../../files/json.ts";
import type { ModelConfig } from "../family.ts";
import type { HeadCounts } from "./arrangement.ts";
import { GgufFolderTensors } from "./folder-tensors.ts";
import { keysConfig, numberOf } from "./keys.ts";
import type { GgufLayout, GgufSigns } from "./layout.ts";
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
  const tensors = new GgufFolderTensors(file, layout, headCounts(layout.architecture, file.metadata));
  const config = await layoutConfig(layout, file);
  return {
    path: file.name,
    config: { ...config, tie_word_embeddings: true } as JsonObject, // where the output layer is another matrix, reading finds out
    generationConfig: null,
    tensors,
    close: () => file.close(),
  };
}

/** What a file's config follows from. */
export type GgufDescription = Pick<GgufFile, "metadata"> &
  Pick<TensorSource, "name" | "names" | "has" | "info" | "read">;

/**
 * The config.json of a file that is of a layout.
 *
 * @throws {CheckpointError} when metadata are missing or contradict each other.
 */
export async function layoutConfig(layout: GgufLayout, file: GgufDescription): Promise<ModelConfig> {
  const { architecture } = layout;
  const read = (key: string): GgufValue | undefined => file.metadata.get(`${architecture}.${key}`);
  demandLayers(read("block_count"), `${file.name}: ${architecture}.block_count`, file.names().length);
  const config = { ...layout.fixed, ...keysConfig(layout.keys, read, `${file.name}: ${architecture}`) };
  const width = numberOf(read("embedding_length")) ?? 0;
  const { heads } = headCounts(architecture, file.metadata);
  const turned = numberOf(read("rope.dimension_count")) ?? numberOf(read("attention.key_length")) ?? width / heads;
  const base = numberOf(read("rope.freq_base")) ?? 10_000;
  return {
    model_type: layout.modelType,
    ...config,
    ...layout.told?.(config, (name) => file.has(name)),
    ...(await scalingConfig({ turned, base }, read, file)),
    vocab_size: file.info("token_embd.weight").shape[0] ?? 0,
  };
}

/** Every layer has tensors: a number beyond theirs is damage, found before anything is made for so many layers. */
function demandLayers(value: GgufValue | undefined, where: string, tensors: number): void {
  const layers = numberOf(value) ?? 0;
  if (layers <= tensors) return;
  throw new CheckpointError(`${where} is ${layers}, but the file has ${tensors} tensors; it is damaged`);
}

/** Numbers of heads that a file's metadata say. */
export function headCounts(architecture: string, metadata: ReadonlyMap<string, GgufValue>): HeadCounts {
  const heads = numberOf(metadata.get(`${architecture}.attention.head_count`)) ?? 1;
  return { heads, keyValueHeads: numberOf(metadata.get(`${architecture}.attention.head_count_kv`)) ?? heads };
}

function layoutOf(file: GgufFile): GgufLayout {
  const { name, metadata } = file;
  const parts = numberOf(metadata.get("split.count"));
  if (parts !== null && parts > 1) {
    throw new UnsupportedError(
      `${name}: is one of ${parts} parts of a model; join them first (llama-gguf-split --merge)`,
    );
  }
  const architecture = metadata.get("general.architecture");
  if (architecture?.type !== "string")
    throw new CheckpointError(`${name}: has no general.architecture; it is no model`);
  const number = (key: string): number | null => numberOf(metadata.get(`${architecture.value}.${key}`));
  const signs: GgufSigns = { has: (tensor) => file.has(tensor), number };
  const hasExperts = (number("expert_count") ?? 0) > 0;
  const layout = ggufLayouts.find(
    (candidate) =>
      candidate.architecture === architecture.value &&
      (candidate.isOf?.(signs) ?? true) &&
      (!hasExperts || candidate.keys.some(({ gguf }) => gguf === "expert_count")),
  );
  if (layout) return layout;
  const known = [...new Set(ggufLayouts.map((candidate) => candidate.architecture))].join(", ");
  throw new UnsupportedError(
    `${name}: is a model of the architecture ${JSON.stringify(architecture.value)}${hasExperts ? " with experts" : ""}; known are ${known}`,
  );
}
