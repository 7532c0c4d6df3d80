import type { ModelContents } from "../checkpoint/model-folder.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { writeSafetensors } from "../checkpoint/safetensors-file.ts";
import type { TensorSource, WritableTensor } from "../checkpoint/tensor-source.ts";
import type { TrainerState } from "../checkpoint/train-state.ts";
import { openCheckpoint, writeCheckpoint } from "../checkpoint/train-state.ts";
import { CheckpointError } from "../core/errors.ts";
import { sameShape } from "../core/shape.ts";
import type { JsonObject } from "../files/json.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { StageEnvironment } from "./stage.ts";

/** Everything a stage saves beside its logs. */
export interface StageState {
  readonly model: () => ModelContents;
  /** By name: moments of optimizers, and weights of further models. */
  readonly tensors: () => ReadonlyMap<string, Tensor>;
  /** Further entries of `trainer_state.json`. */
  readonly trainer?: () => JsonObject;
}

/** Settings that say how a stage saves. */
export interface SaveSettings {
  readonly steps: number;
  readonly saveEvery: number;
  readonly saveTotalLimit: number;
  readonly seed: number;
}

/**
 * Saves a stage after `step` updates: a checkpoint to go on from and, after the last one, the final model.
 *
 * @throws {FileError} when the disk is full; what was there before stays.
 */
export async function saveStage(
  step: number,
  state: StageState,
  settings: SaveSettings,
  { folder }: StageEnvironment,
): Promise<void> {
  const trainer: TrainerState = {
    global_step: step,
    max_steps: settings.steps,
    save_steps: settings.saveEvery,
    // The whole of it is in metrics.jsonl; a copy in every checkpoint would grow with the run.
    log_history: folder.newest as unknown as JsonObject[],
    ...state.trainer?.(),
  };
  const random = { seed: settings.seed, step };
  const contents = { model: state.model(), optimizer: writable(state.tensors()), trainer, random };
  await writeCheckpoint(folder.path, contents, { saveTotalLimit: settings.saveTotalLimit });
  if (step === settings.steps) await writeModelFolder(folder.finalPath, state.model());
}

/**
 * Puts tensors and trainer state back as a checkpoint has them. The model's own weights are not among them: they are
 * opened from the checkpoint as from any model folder.
 *
 * @throws {CheckpointError} when the checkpoint is damaged, or was made with other models or settings.
 */
export async function restoreStage(path: string, tensors: ReadonlyMap<string, Tensor>): Promise<TrainerState> {
  const checkpoint = await openCheckpoint(path);
  try {
    await restoreTensors(checkpoint.optimizer, tensors);
    return checkpoint.trainer;
  } finally {
    await checkpoint.close();
  }
}

/** Tensors in a file of their own, complete or absent. */
export async function saveTensors(path: string, tensors: ReadonlyMap<string, Tensor>): Promise<void> {
  await writeSafetensors(path, writable(tensors));
}

/**
 * Puts tensors back as a file has them.
 *
 * @throws {CheckpointError} when one is missing or of another shape.
 */
export async function restoreTensors(source: TensorSource, tensors: ReadonlyMap<string, Tensor>): Promise<void> {
  for (const [name, tensor] of tensors) await restoreTensor(name, tensor, source);
}

async function restoreTensor(name: string, tensor: Tensor, source: TensorSource): Promise<void> {
  const { shape } = source.info(name);
  if (!sameShape(shape, tensor.shape)) {
    throw new CheckpointError(
      `${source.name}: ${name} has another shape than the run's; resume with the run's own models`,
    );
  }
  tensor.write(await source.read(name));
}

/** The moments of an optimizer by name, behind a prefix. */
export function momentsOf(optimizer: Optimizer, prefix = ""): Map<string, Tensor> {
  return new Map([...optimizer.state()].map(([name, tensor]) => [prefix + name, tensor]));
}

function writable(tensors: ReadonlyMap<string, Tensor>): WritableTensor[] {
  return [...tensors].map(([name, tensor]) => ({
    name,
    shape: tensor.shape,
    read: () => tensor.floats(),
  }));
}
