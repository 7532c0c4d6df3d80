import { mkdir, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CheckpointError } from "../core/errors.ts";
import { recoverFolder, writeFolderAtomic, writeStream } from "../files/atomic-write.ts";
import { fileError, systemCode } from "../files/file-error.ts";
import { isGgufPath } from "../files/gguf-path.ts";
import type { JsonObject } from "../files/json.ts";
import { formatJson, sortKeys } from "../files/json.ts";
import { readJsonObject } from "../files/json-file.ts";
import { floatKeys } from "./float-keys.ts";
import { safetensorsChunks } from "./safetensors.ts";
import { openSafetensors } from "./safetensors-file.ts";
import { indexFile, openShards, weightsFile, writeWeights } from "./shards.ts";
import type { FloatDtype, TensorSource, WritableTensor } from "./tensor-source.ts";

/** An open model folder in the Hugging Face layout. Weights are read on demand; close it when done. */
export interface ModelFolder {
  readonly path: string;
  /** `config.json` with the model library's own keys. */
  readonly config: JsonObject;
  /** `generation_config.json`, or null where there is none. */
  readonly generationConfig: JsonObject | null;
  readonly tensors: TensorSource;
  /** Folders of adapters whose changes are to be added to matrices that have been read; none without. */
  readonly adapters?: readonly string[];
  close(): Promise<void>;
}

/** Everything that a model folder is made from. */
export interface ModelContents {
  /** `torch_dtype` is set to what the weights are stored as. */
  readonly config: JsonObject;
  readonly generationConfig?: JsonObject;
  /** Keys of both whose numbers are floats, beside those that are known to be. */
  readonly moreFloatKeys?: ReadonlySet<string>;
  readonly tensors: Iterable<WritableTensor>;
  /** In place of all tensors: what was learned on a base that stays as it is. */
  readonly adapter?: AdapterContents | null;
  /** How weights are stored. Default `F32`. */
  readonly dtype?: FloatDtype;
  /** Weights larger than this go to several files. Default 5 GB. */
  readonly maxShardBytes?: number;
  /** Further files by name, such as the text of a model card; a name may have a folder before it. */
  readonly extraFiles?: Readonly<Record<string, string | Uint8Array>>;
  /** Writes further files into the folder while it is being filled, such as a tokenizer's. */
  readonly writeExtra?: (folder: string) => Promise<void>;
}

/** What PEFT's two files of an adapter hold. */
export interface AdapterContents {
  readonly config: JsonObject;
  readonly tensors: readonly WritableTensor[];
}

const configFile = "config.json";
/** A pickle may hold programs, so that none is opened. */
const toSafetensors = "convert it to safetensors (in Python: model.save_pretrained(folder, safe_serialization=True))";
/** The weights of an adapter, as PEFT calls their file. */
export const adapterFile = "adapter_model.safetensors";
const generationFile = "generation_config.json";
const dtypeNames: Readonly<Record<FloatDtype, string>> = { F32: "float32", F16: "float16", BF16: "bfloat16" };

/**
 * Opens anyone's model folder: `config.json` and safetensors, in one file or several. All headers are checked.
 *
 * @param mayBeAdapter - Opens the tensors of an adapter, where there are no others.
 * @throws {FileError} when a part cannot be read.
 * @throws {CheckpointError} when the folder is missing, a part is damaged, or the weights are of another format; the
 * message says which and what to do.
 */
export async function openModelFolder(path: string, mayBeAdapter = false): Promise<ModelFolder> {
  const names = await listFolder(path);
  if (!names.includes(configFile)) throw new CheckpointError(noConfig(path, names));
  const config = await readJsonObject(join(path, configFile));
  const generationConfig = names.includes(generationFile) ? await readJsonObject(join(path, generationFile)) : null;
  const isAdapter = mayBeAdapter && names.includes(adapterFile);
  const tensors = isAdapter ? await openAdapterWeights(path) : await openWeights(path, names);
  return { path, config, generationConfig, tensors, close: () => tensors.close() };
}

/**
 * Writes a model folder that is complete or absent whatever happens. Replaces an older model folder, but refuses to
 * replace a folder that holds anything else.
 *
 * @throws {FileError} when the disk is full.
 * @throws {CheckpointError} when the folder holds other things, or a tensor does not fit its shape or dtype.
 */
export async function writeModelFolder(path: string, contents: ModelContents): Promise<void> {
  await refuseForeignFiles(path, Object.keys(contents.extraFiles ?? {}));
  await writeFolderAtomic(path, (folder) => fillModelFolder(folder, contents));
}

/** Writes the files of a model folder into a folder that is being filled. */
export async function fillModelFolder(folder: string, contents: ModelContents): Promise<void> {
  const { config, generationConfig, moreFloatKeys = [], dtype = "F32", extraFiles = {} } = contents;
  const floats = new Set([...floatKeys, ...moreFloatKeys]);
  const dtypeKey = "dtype" in config && !("torch_dtype" in config) ? "dtype" : "torch_dtype";
  await writeJson(join(folder, configFile), { ...config, [dtypeKey]: dtypeNames[dtype] }, floats);
  if (generationConfig) await writeJson(join(folder, generationFile), generationConfig, floats);
  for (const [name, text] of Object.entries(extraFiles)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeStream(join(folder, name), text);
  }
  await contents.writeExtra?.(folder);
  if (contents.adapter) await fillAdapterFolder(folder, contents.adapter);
  else await writeWeights(folder, contents.tensors, contents);
}

/** Writes an adapter's two files into a folder that is being filled. */
export async function fillAdapterFolder(folder: string, { config, tensors }: AdapterContents): Promise<void> {
  await writeStream(join(folder, adapterFile), safetensorsChunks(adapterFile, tensors));
  await writeJson(join(folder, "adapter_config.json"), config, floatKeys);
}

/** What a folder that Stemma replaces may hold: the files of a model, of its tokenizer and of a training state. */
const knownFile =
  /^((model|optimizer|adapter_model)[\w.-]*\.safetensors(\.index\.json)?|(generation_|tokenizer_|preprocessor_|adapter_)?config\.json|tokenizer\.(json|model)|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|chat_template\.jinja|(trainer|rng)_state\.json|modules\.json|sentence_bert_config\.json|config_sentence_transformers\.json|\d_(Pooling|Normalize)|README\.md)$/;

/**
 * Makes sure that replacing a folder would not delete anything but a model.
 *
 * @throws {CheckpointError} naming the first thing that does not belong to one.
 */
export async function refuseForeignFiles(path: string, alsoKnown: readonly string[] = []): Promise<void> {
  const names = await readdir(path).catch((error: unknown): string[] => {
    if (systemCode(error) === "ENOENT") return [];
    if (systemCode(error) === "ENOTDIR") throw isAFile(path);
    throw fileError(path, "read", error);
  });
  const foreign = names.find((name) => !knownFile.test(name) && !alsoKnown.includes(name));
  if (foreign !== undefined) {
    throw new CheckpointError(
      `${path}: holds ${foreign}, which is not part of a model; choose another folder, or move that away first`,
    );
  }
}

async function writeJson(path: string, value: JsonObject, floats: ReadonlySet<string>): Promise<void> {
  await writeStream(path, formatJson(basename(path), sortKeys(value), floats));
}

async function listFolder(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (systemCode(error) === "ENOTDIR") throw isAFile(path);
    if (systemCode(error) !== "ENOENT") throw fileError(path, "read", error);
  }
  // Nothing there: perhaps a killed process was just replacing it.
  await recoverFolder(path);
  return readdir(path).catch((error: unknown) => {
    if (systemCode(error) !== "ENOENT") throw fileError(path, "read", error);
    throw new CheckpointError(`${path}: there is no such folder; check the path of the model`);
  });
}

/**
 * Opens the tensors of an adapter's folder.
 *
 * @throws {CheckpointError} when they are missing, damaged, or a pickle.
 */
export async function openAdapterWeights(path: string): Promise<TensorSource> {
  const names = await listFolder(path);
  const pickle = names.find((name) => name === "adapter_model.bin");
  if (pickle !== undefined && !names.includes(adapterFile)) {
    throw new CheckpointError(`${path}: has ${pickle} but no ${adapterFile}; ${toSafetensors}`);
  }
  return openSafetensors(join(path, adapterFile));
}

async function openWeights(path: string, names: readonly string[]): Promise<TensorSource> {
  if (names.includes(weightsFile)) return openSafetensors(join(path, weightsFile));
  if (names.includes(indexFile)) return openShards(join(path, indexFile));
  const other = names.find((name) => /\.(bin|pt|pth|ckpt|h5|msgpack|gguf|onnx|safetensors)$/.test(name));
  if (other === undefined) {
    throw new CheckpointError(`${path}: has no weights (${weightsFile}); the folder is incomplete, fetch it again`);
  }
  if (other === adapterFile) {
    throw new CheckpointError(
      `${path}: holds an adapter (${other}), not a whole model; give the folder of its base model`,
    );
  }
  const remedy = other.endsWith(".safetensors") ? `rename it, or add ${indexFile}` : toSafetensors;
  throw new CheckpointError(`${path}: has ${other} but no ${weightsFile}; ${remedy}`);
}

function noConfig(path: string, names: readonly string[]): string {
  const checkpoints = names.filter((name) => /^checkpoint-\d+$/.test(name));
  const latest = checkpoints.sort((a, b) => Number(a.slice(11)) - Number(b.slice(11))).at(-1);
  const inside = names.includes("final") ? "final" : latest;
  if (inside !== undefined)
    return `${path}: is a run, not a model; give one of its models, such as ${join(path, inside)}`;
  const gguf = names.find(isGgufPath);
  if (gguf !== undefined)
    return `${path}: holds GGUF files and no ${configFile}; give the file, such as ${join(path, gguf)}`;
  if (names.length === 0) return `${path}: the folder is empty; check the path of the model`;
  return `${path}: has no ${configFile}, so it is not a model folder; check the path`;
}

function isAFile(path: string): CheckpointError {
  const [, ending = ""] = /\.(gguf|bin|pt|pth|ckpt|pkl)$/.exec(path) ?? [];
  if (ending === "gguf") {
    return new CheckpointError(`${path}: is a GGUF file; make a folder of it first (stemma import --model ${path})`);
  }
  if (ending !== "") return new CheckpointError(`${path}: is a pickle, which is never opened; ${toSafetensors}`);
  return new CheckpointError(`${path}: is a file (${basename(path)}); give the folder of the model`);
}
