import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CheckpointError } from "../core/errors.ts";
import { recoverFolder, removeFolderAtomic, writeFolderAtomic, writeStream } from "../files/atomic-write.ts";
import { fileError, systemCode } from "../files/file-error.ts";
import type { Json, JsonObject } from "../files/json.ts";
import { describe, formatJson, sortKeys } from "../files/json.ts";
import { readJsonObject } from "../files/json-file.ts";
import { unfinishedTargets } from "../files/leftovers.ts";
import type { ModelContents, ModelFolder } from "./model-folder.ts";
import { adapterFile, fillModelFolder, openModelFolder, refuseForeignFiles } from "./model-folder.ts";
import { safetensorsChunks } from "./safetensors.ts";
import { openSafetensors } from "./safetensors-file.ts";
import { indexFile, weightsFile } from "./shards.ts";
import type { TensorSource, WritableTensor } from "./tensor-source.ts";

/**
 * Contents of `trainer_state.json`, with the keys of the Hugging Face trainer. Other keys of that trainer are filled in
 * when written; any further ones are kept.
 */
export interface TrainerState {
  /** Updates made. */
  readonly global_step: number;
  /** One object a logged step, oldest first: the newest ones. Numbers that are not finite are stored as null. */
  readonly log_history: readonly JsonObject[];
  readonly epoch?: number | null;
  readonly max_steps?: number;
  readonly logging_steps?: number;
  readonly eval_steps?: number;
  readonly save_steps?: number;
  readonly train_batch_size?: number | null;
  readonly num_input_tokens_seen?: number;
  readonly num_train_epochs?: number;
  readonly best_metric?: number | null;
  readonly best_model_checkpoint?: string | null;
  readonly [key: string]: Json | undefined;
}

/** Everything needed to go on training as if it had never stopped. */
export interface TrainingContents {
  readonly model: ModelContents;
  /** Stored as float32 unless a tensor says otherwise, so that resuming is exact. */
  readonly optimizer: Iterable<WritableTensor>;
  readonly trainer: TrainerState;
  /** Positions of random generators and data iterators, in `rng_state.json`. */
  readonly random: JsonObject;
}

/** An open training checkpoint. */
export interface TrainingCheckpoint {
  readonly path: string;
  /** With the tensors of an adapter, where that is what the run learns. */
  readonly model: ModelFolder;
  readonly optimizer: TensorSource;
  readonly trainer: TrainerState;
  readonly random: JsonObject;
  close(): Promise<void>;
}

/** Where a complete checkpoint lies. */
export interface CheckpointPlace {
  readonly step: number;
  readonly path: string;
}

const optimizerFile = "optimizer.safetensors";
const trainerFile = "trainer_state.json";
const randomFile = "rng_state.json";
const folderName = /^checkpoint-(\d+)$/;

const trainerDefaults: JsonObject = {
  best_metric: null,
  best_model_checkpoint: null,
  epoch: null,
  eval_steps: 0,
  is_hyper_param_search: false,
  is_local_process_zero: true,
  is_world_process_zero: true,
  logging_steps: 1,
  max_steps: 0,
  num_input_tokens_seen: 0,
  num_train_epochs: 0,
  save_steps: 0,
  stateful_callbacks: {},
  total_flos: 0,
  train_batch_size: null,
  trial_name: null,
  trial_params: null,
};

/**
 * Writes `<output>/checkpoint-<step>`, complete or absent whatever happens, and then deletes the oldest complete
 * checkpoints beyond `saveTotalLimit`, never the one just written nor the newest. Returns the path.
 *
 * @throws {FileError} when the disk is full.
 * @throws {CheckpointError} when a tensor does not fit its shape, or a state holds what JSON cannot.
 */
export async function writeCheckpoint(
  output: string,
  contents: TrainingContents,
  options: { readonly saveTotalLimit?: number } = {},
): Promise<string> {
  const { model, optimizer, trainer, random } = contents;
  const path = join(output, `checkpoint-${trainer.global_step}`);
  checkStep(path, trainer.global_step);
  const state = { ...trainerDefaults, ...trainer, log_history: trainer.log_history.map(finiteOrNull) };
  await refuseForeignFiles(path, Object.keys(model.extraFiles ?? {}));
  await writeFolderAtomic(path, async (folder) => {
    await writeStream(join(folder, trainerFile), formatJson(trainerFile, sortKeys(state as JsonObject)));
    await writeStream(join(folder, randomFile), formatJson(randomFile, random));
    await fillModelFolder(folder, model);
    await writeStream(join(folder, optimizerFile), safetensorsChunks(optimizerFile, optimizer));
  });
  await rotateCheckpoints(output, options.saveTotalLimit ?? 0, path);
  return path;
}

/**
 * Opens a checkpoint that training can go on from.
 *
 * @throws {CheckpointError} when the folder or a part of it is missing or damaged.
 */
export async function openCheckpoint(path: string): Promise<TrainingCheckpoint> {
  const model = await openModelFolder(path, true);
  try {
    const trainer = parseTrainerState(join(path, trainerFile), await readJsonObject(join(path, trainerFile)));
    const random = await readJsonObject(join(path, randomFile));
    const optimizer = await openSafetensors(join(path, optimizerFile));
    const close = async () => {
      await model.close();
      await optimizer.close();
    };
    return { path, model, optimizer, trainer, random, close };
  } catch (error) {
    await model.close();
    throw error;
  }
}

/** The complete checkpoints of a run, oldest step first; none where there is no such folder. Changes nothing. */
export async function listCheckpoints(output: string): Promise<CheckpointPlace[]> {
  const places: CheckpointPlace[] = [];
  for (const name of await namesIn(output)) {
    const step = folderName.exec(name)?.[1];
    const path = join(output, name);
    if (step !== undefined && isComplete(await namesIn(path))) places.push({ step: Number(step), path });
  }
  return places.sort((a, b) => a.step - b.step);
}

/**
 * The complete checkpoint of the highest step, or null. First cleans up after a process that was killed while writing
 * one.
 */
export async function latestCheckpoint(output: string): Promise<CheckpointPlace | null> {
  await recoverCheckpoints(output);
  return (await listCheckpoints(output)).at(-1) ?? null;
}

/**
 * Deletes the oldest complete checkpoints until `limit` are left; 0 keeps all. Never deletes the newest, nor `written`,
 * which may be older than others when a run was resumed from an earlier step.
 */
export async function rotateCheckpoints(output: string, limit: number, written: string): Promise<void> {
  await recoverCheckpoints(output);
  if (limit <= 0) return;
  const places = await listCheckpoints(output);
  const spared = resolve(written);
  const expendable = places.slice(0, -1).filter(({ path }) => resolve(path) !== spared);
  for (const { path } of expendable.slice(0, Math.max(0, places.length - limit))) await removeFolderAtomic(path);
}

async function recoverCheckpoints(output: string): Promise<void> {
  if ((await namesIn(output)).length === 0) return;
  for (const target of await unfinishedTargets(output, folderName)) await recoverFolder(target);
}

/** Any of these is what was learned. */
const weights: readonly string[] = [weightsFile, indexFile, adapterFile];

function isComplete(names: readonly string[]): boolean {
  const needed = [trainerFile, randomFile, optimizerFile, "config.json"];
  return needed.every((name) => names.includes(name)) && weights.some((name) => names.includes(name));
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return [];
    throw fileError(folder, "read", error);
  });
}

function parseTrainerState(where: string, state: JsonObject): TrainerState {
  const { global_step: step, log_history: history } = state;
  checkStep(where, step);
  if (!Array.isArray(history)) {
    throw new CheckpointError(`${where}: log_history is ${describe(history)}, an array is expected`);
  }
  return state as unknown as TrainerState;
}

function checkStep(where: string, step: unknown): void {
  if (!Number.isSafeInteger(step) || Number(step) < 0) {
    throw new CheckpointError(`${where}: global_step must be an integer from 0 on, got ${String(step)}`);
  }
}

function finiteOrNull(entry: JsonObject): JsonObject {
  const pairs = Object.entries(entry).map(([key, value]): [string, Json] => {
    return [key, typeof value === "number" && !Number.isFinite(value) ? null : value];
  });
  return Object.fromEntries(pairs);
}
