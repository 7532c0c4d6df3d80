import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ModelFolder } from "../checkpoint/model-folder.ts";
import { openAdapterWeights } from "../checkpoint/model-folder.ts";
import type { TakePiece, TensorInfo, TensorSource } from "../checkpoint/tensor-source.ts";
import { CheckpointError } from "../core/errors.ts";
import { readJsonIfThere, readJsonObject } from "../files/json-file.ts";
import { loraPart, moduleTensor } from "./added-adapters.ts";

const configFile = "adapter_config.json";

/** Whether a folder holds an adapter in PEFT's layout, and no model of its own. */
export function isAdapterFolder(path: string): boolean {
  const has = (name: string): boolean => existsSync(join(path, name));
  return has(configFile) && !has("model.safetensors") && !has("model.safetensors.index.json");
}

/** Whether a folder is an adapter's as PEFT writes it, without the config of the model that it makes of its base. */
export function isBareAdapter(path: string): boolean {
  return isAdapterFolder(path) && !existsSync(join(path, "config.json"));
}

/**
 * The model that an adapter was made for, as its config names it.
 *
 * @throws {CheckpointError} when it names none, or one that is not there.
 */
export async function baseOfAdapter(path: string): Promise<string> {
  const config = await readJsonObject(join(path, configFile));
  const { base_model_name_or_path: base } = z
    .object({ base_model_name_or_path: z.string().min(1) })
    .catch({ base_model_name_or_path: "" })
    .parse(config);
  if (base !== "" && base !== path && existsSync(base)) return base;
  const which = base === "" ? "names no base model" : `was made for ${base}, which is not there`;
  throw new CheckpointError(`${path}: is an adapter that ${which}; give its base with --model and this with --adapter`);
}

/**
 * An adapter's folder as the model that its base becomes by it: the base's tensors, but for those that the adapter holds
 * whole. Changes of matrices are for who reads them to add.
 *
 * @param base - Its base, open; closing the folder closes it.
 * @throws {CheckpointError} when the adapter is damaged.
 */
export async function adapterAsFolder(path: string, base: ModelFolder): Promise<ModelFolder> {
  const config = (await readJsonIfThere(join(path, "config.json"))) ?? base.config;
  const generationConfig = (await readJsonIfThere(join(path, "generation_config.json"))) ?? base.generationConfig;
  const tensors = new LayeredTensors(base.tensors, await openAdapterWeights(path));
  return {
    ...{ path, config, generationConfig, tensors },
    adapters: [...(base.adapters ?? []), path],
    close: () => tensors.close(),
  };
}

/** Tensors of a base, those in their place that an adapter holds whole, and what the base lacks. */
class LayeredTensors implements TensorSource {
  readonly name: string;
  readonly #base: TensorSource;
  readonly #top: TensorSource;
  /** Names in the adapter's file by those of a model's folder. */
  readonly #whole: ReadonlyMap<string, string>;

  constructor(base: TensorSource, top: TensorSource) {
    this.name = top.name;
    this.#base = base;
    this.#top = top;
    const whole = top.names().filter((name) => loraPart(name) === null);
    this.#whole = new Map(whole.map((name) => [moduleTensor(name), name]));
  }

  names(): readonly string[] {
    return [...new Set([...this.#base.names(), ...this.#whole.keys()])];
  }

  has(name: string): boolean {
    return this.#whole.has(name) || this.#base.has(name);
  }

  info(name: string): TensorInfo {
    const [source, inFile] = this.#place(name);
    return source.info(inFile);
  }

  read(name: string, into?: Float32Array): Promise<Float32Array> {
    const [source, inFile] = this.#place(name);
    return source.read(inFile, into);
  }

  readIntegers(name: string): Promise<Int32Array> {
    const [source, inFile] = this.#place(name);
    return source.readIntegers(inFile);
  }

  readRaw(name: string, take: TakePiece): Promise<void> {
    const [source, inFile] = this.#place(name);
    return source.readRaw(inFile, take);
  }

  async close(): Promise<void> {
    await this.#base.close();
    await this.#top.close();
  }

  #place(name: string): [source: TensorSource, inFile: string] {
    const whole = this.#whole.get(name);
    return whole === undefined ? [this.#base, name] : [this.#top, whole];
  }
}
