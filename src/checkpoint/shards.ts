import { basename, dirname, join } from "node:path";
import { CheckpointError } from "../core/errors.ts";
import { writeStream } from "../files/atomic-write.ts";
import type { JsonObject } from "../files/json.ts";
import { describe, formatJson, isJsonObject } from "../files/json.ts";
import { readJsonObject } from "../files/json-file.ts";
import type { SafetensorsFile, SafetensorsOptions } from "./safetensors.ts";
import { safetensorsChunks } from "./safetensors.ts";
import { openSafetensors } from "./safetensors-file.ts";
import { byteLength } from "./safetensors-header.ts";
import type { TakePiece, TensorInfo, TensorSource, WritableTensor } from "./tensor-source.ts";
import { noSuchTensor } from "./tensor-source.ts";

/** Name of the weights of a model that fit one file. */
export const weightsFile = "model.safetensors";

/** Name of the list that says which of several files holds which tensor. */
export const indexFile = "model.safetensors.index.json";

/** Largest file written when the caller does not say: 5 GB of tensors. */
export const defaultShardBytes = 5e9;

/** What to write besides the tensors, and when to start another file. */
export interface ShardOptions extends SafetensorsOptions {
  /** A file is closed before its tensors exceed this; a larger tensor gets a file of its own. */
  readonly maxShardBytes?: number;
}

/**
 * Writes a model's weights into a folder that is being filled: `model.safetensors`, or
 * `model-00001-of-0000N.safetensors` and an index when they exceed `maxShardBytes`. The same tensors give the same
 * files, in whatever order they come.
 *
 * @throws {CheckpointError} as {@link safetensorsChunks} does.
 */
export async function writeWeights(
  folder: string,
  tensors: Iterable<WritableTensor>,
  options: ShardOptions = {},
): Promise<void> {
  const shards = planShards(tensors, options);
  const fileOf = (shard: number) => (shards.length === 1 ? weightsFile : shardFile(shard, shards.length));
  for (const [i, shard] of shards.entries()) {
    await writeStream(join(folder, fileOf(i)), safetensorsChunks(fileOf(i), shard, options));
  }
  if (shards.length === 1) return;

  const places = shards.flatMap((shard, i) => shard.map(({ name }): [string, string] => [name, fileOf(i)]));
  const names = new Set(places.map(([name]) => name));
  if (names.size < places.length) throw new CheckpointError(`${indexFile}: two tensors have the same name`);
  const totalSize = shards.flat().reduce((sum, tensor) => sum + storedBytes(tensor, options), 0);
  const index = { metadata: { total_size: totalSize }, weight_map: Object.fromEntries(places) };
  await writeStream(join(folder, indexFile), formatJson(indexFile, index));
}

/**
 * Opens the files that an index names as one source. Every header is checked at once, so that a truncated or missing
 * file is found before anything is loaded.
 *
 * @throws {CheckpointError} when the index is damaged, or names a file or a tensor that is not there.
 */
export async function openShards(indexPath: string): Promise<TensorSource> {
  const map = weightMap(indexPath, await readJsonObject(indexPath));
  const folder = dirname(indexPath);
  const files = new Map<string, SafetensorsFile>();
  try {
    for (const file of new Set(map.values())) files.set(file, await openSafetensors(join(folder, file)));
    return new ShardedTensors(indexPath, files, map);
  } catch (error) {
    for (const file of files.values()) await file.close();
    throw error;
  }
}

class ShardedTensors implements TensorSource {
  readonly name: string;
  readonly #homes = new Map<string, SafetensorsFile>();
  readonly #files: readonly SafetensorsFile[];

  constructor(name: string, files: ReadonlyMap<string, SafetensorsFile>, map: ReadonlyMap<string, string>) {
    this.name = name;
    this.#files = [...files.values()];
    for (const [tensor, file] of map) {
      const home = files.get(file);
      if (!home?.has(tensor)) {
        throw new CheckpointError(`${name}: ${tensor} is not in ${file}, where the index says; fetch both again`);
      }
      this.#homes.set(tensor, home);
    }
  }

  names(): readonly string[] {
    return [...this.#homes.keys()];
  }

  has(name: string): boolean {
    return this.#homes.has(name);
  }

  info(name: string): TensorInfo {
    return this.#home(name).info(name);
  }

  async read(name: string, into?: Float32Array): Promise<Float32Array> {
    return this.#home(name).read(name, into);
  }

  async readIntegers(name: string): Promise<Int32Array> {
    return this.#home(name).readIntegers(name);
  }

  async readRaw(name: string, take: TakePiece): Promise<void> {
    await this.#home(name).readRaw(name, take);
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file.close();
  }

  #home(name: string): SafetensorsFile {
    const home = this.#homes.get(name);
    if (!home) throw noSuchTensor(this, name);
    return home;
  }
}

function weightMap(path: string, index: JsonObject): Map<string, string> {
  const map = index.weight_map;
  if (!isJsonObject(map)) throw new CheckpointError(`${path}: weight_map is ${describe(map)}, an object is expected`);
  const entries = Object.entries(map).map(([tensor, file]): [string, string] => {
    // A path would let an index read files outside its own folder.
    if (typeof file !== "string" || file !== basename(file) || file.includes("\\") || file === "..") {
      throw new CheckpointError(`${path}: ${tensor} is in ${JSON.stringify(file)}, a file name is expected`);
    }
    return [tensor, file];
  });
  if (entries.length === 0) throw new CheckpointError(`${path}: weight_map names no tensor`);
  return new Map(entries);
}

/** Cuts the tensors, layers in order, wherever the next one would exceed the limit. */
function planShards(tensors: Iterable<WritableTensor>, options: ShardOptions): WritableTensor[][] {
  const limit = options.maxShardBytes ?? defaultShardBytes;
  if (!(limit > 0)) throw new CheckpointError(`maxShardBytes: must be positive, got ${limit}`);
  const ordered = [...tensors].sort((a, b) => compareNatural(a.name, b.name));
  let shard: WritableTensor[] = [];
  const shards = [shard];
  let bytes = 0;
  for (const tensor of ordered) {
    const size = storedBytes(tensor, options);
    if (bytes + size > limit && shard.length > 0) {
      shard = [];
      shards.push(shard);
      bytes = 0;
    }
    shard.push(tensor);
    bytes += size;
  }
  return shards;
}

/** By name, with numbers in names compared as numbers: `h.2` before `h.10`. */
function compareNatural(a: string, b: string): number {
  const [x, y] = [a, b].map((name) => name.replace(/\d+/g, (digits) => digits.padStart(12, "0")));
  if (x === y) return a < b ? -1 : Number(a > b);
  return (x ?? "") < (y ?? "") ? -1 : 1;
}

/** Bytes in the file, or 0 for a shape that the writer will refuse. */
function storedBytes(tensor: WritableTensor, options: ShardOptions): number {
  return byteLength(tensor.dtype ?? options.dtype ?? "F32", tensor.shape) ?? 0;
}

function shardFile(index: number, count: number): string {
  const five = (n: number) => String(n).padStart(5, "0");
  return `model-${five(index + 1)}-of-${five(count)}.safetensors`;
}
