import { join } from "node:path";
import type { z } from "zod";
import type { Backend } from "../backend/kernels.ts";
import type { WeightFormatName } from "../backend/storage.ts";
import { isWeightFormat } from "../backend/weight-formats.ts";
import type { AdapterContents, ModelContents } from "../checkpoint/model-folder.ts";
import { fillAdapterFolder } from "../checkpoint/model-folder.ts";
import { SettingsError } from "../core/errors.ts";
import { kebabCase } from "../core/flags.ts";
import { Random } from "../core/random.ts";
import { writeFolderAtomic } from "../files/atomic-write.ts";
import type { Assistant } from "../generate/assistant.ts";
import { openTrainee, refuseOtherTokenizer } from "../generate/assistant.ts";
import { isAdapterFolder } from "../models/adapter-folder.ts";
import { AdapterOff } from "../models/adapter-off.ts";
import type { AdapterTarget } from "../models/added-adapters.ts";
import { withLowRankChanges } from "../models/added-adapters.ts";
import type { TensorBinding } from "../models/family.ts";
import type { LanguageModel, StoredModel } from "../models/language-model.ts";
import type { LowRankOptions } from "../models/low-rank-adapters.ts";
import { adapt, linearsOf } from "../models/low-rank-adapters.ts";
import type { WeightChoice } from "../models/weight-choice.ts";
import type { AdapterTask } from "../models/write-adapters.ts";
import { adapterContents } from "../models/write-adapters.ts";
import type { Parameter } from "../nn/parameters.ts";
import { freeze, parameters, trainedParameters } from "../nn/parameters.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { adapterSettings } from "./adapter-settings.ts";
import type { StageEnvironment } from "./stage.ts";

/** What a run's settings say of adapters. */
export interface AdapterChoice {
  /** 0 is off. */
  readonly loraRank: number;
  readonly loraAlpha: number;
  readonly loraTargets: LowRankOptions["targets"];
  readonly loraDropout?: number;
  /** What was added to the model before. */
  readonly adapter?: readonly string[];
  /** How the matrices lie in memory that have adapters, undefined for as stored. */
  readonly weights?: z.output<(typeof adapterSettings)["weights"]>;
  readonly seed: number;
}

type Rank = Pick<AdapterChoice, "loraRank" | "weights">;
type OfAdapters = Pick<AdapterChoice, "loraAlpha" | "loraTargets" | "loraDropout">;

/**
 * How the matrices of a run's model lie in memory: float32 where they are trained.
 *
 * @throws {SettingsError} when they are, and something else is asked for, or something of adapters.
 */
export function weightsOf({ loraRank, weights, ...ofAdapters }: Rank & Partial<OfAdapters>): WeightChoice {
  if (loraRank > 0) return weights ?? "stored";
  if (weights !== undefined && weights !== "float32") {
    throw new SettingsError(
      `weights: matrices that are trained are float32, ${weights} is for those that stay as they are; add --lora-rank 8, or leave it out`,
    );
  }
  for (const key of ["loraAlpha", "loraTargets", "loraDropout"] as const) {
    const value = ofAdapters[key];
    if (value === undefined || value === adapterSettings[key].parse(undefined)) continue;
    throw new SettingsError(
      `${kebabCase(key)}: ${value} is for adapters, and there are none; add --lora-rank 8, or leave it out`,
    );
  }
  return "float32";
}

/**
 * Adapters are for models that exist.
 *
 * @throws {SettingsError} when there is nothing to adapt or to add to, or matrices that are trained are to lie in a format.
 */
export function refuseNewAdapted(settings: StartChoice, isNew: boolean): void {
  weightsOf(settings);
  const { loraRank, model, adapter = [] } = settings;
  if (!isNew || (loraRank === 0 && adapter.length === 0)) return;
  throw new SettingsError(
    `${loraRank > 0 ? "lora-rank" : "adapter"}: a new ${model} has learned nothing that adapters could change; leave it ` +
      "out, or name a folder with --model",
  );
}

/**
 * The folder that a run's model is opened from. Checkpoints have the changes of adapters in the matrices: a run with
 * adapters goes on from where it started, and puts the adapters back.
 */
export function startOf(
  { model, loraRank }: Pick<AdapterChoice, "loraRank"> & { readonly model: string },
  { folder }: StageEnvironment,
): string {
  return loraRank > 0 ? model : (folder.checkpoint?.path ?? model);
}

/** What a run's settings say of its beginning. */
export type StartChoice = Pick<AdapterChoice, "loraRank" | "weights" | "adapter"> & { readonly model: string };

/** The adapters that are added to what {@link startOf} names: a checkpoint has them in its matrices. */
export function addedAtStart(settings: StartChoice, environment: StageEnvironment): readonly string[] {
  return startOf(settings, environment) === environment.folder.checkpoint?.path ? [] : (settings.adapter ?? []);
}

/**
 * Makes sure that a run's own adapter can hold what was added to its model. Where matrices can only be read, that is not
 * in them, but becomes a part of what the run writes.
 *
 * @throws {SettingsError} when the model is an adapter's folder too, or a change is of no layer.
 * @throws {UnsupportedError} when an adapter holds tensors whole.
 */
export async function refuseUnkept(
  target: Pick<AdapterTarget, "family" | "model" | "placements">,
  settings: StartChoice,
  environment: StageEnvironment,
): Promise<void> {
  const adapters = addedAtStart(settings, environment);
  const format = readOnlyFormat(target.model);
  if (adapters.length === 0 || format === null) return;
  if (isAdapterFolder(settings.model)) {
    throw new SettingsError(
      `adapter: ${settings.model} is an adapter itself, of a base that lies as ${format}; name that base as --model, and ` +
        "all adapters with --adapter",
    );
  }
  const layers = new Set([...linearsOf(target.model).values()].map(({ weight }) => weight.storage));
  for (const adapter of adapters) {
    await withLowRankChanges(target, adapter, async (changes) => {
      const other = changes.find(({ placement }) => !layers.has(placement.tensor.storage));
      if (!other) return;
      throw new SettingsError(
        `adapter: ${adapter} changes ${other.placement.name}, which is no layer's matrix, and the others lie as ${format}; ` +
          "add --weights float32",
      );
    });
  }
}

/**
 * The model that a run works on: that of {@link startOf}, and where a run begins with the adapters that are added to it.
 *
 * @throws {CheckpointError} when a part is damaged, or an adapter is of another model.
 * @throws {SettingsError} as {@link refuseUnkept} does.
 */
export async function openStart(
  settings: StartChoice,
  environment: StageEnvironment,
  backend: Backend,
): Promise<Assistant> {
  const start = startOf(settings, environment);
  const opened = await openTrainee(start, backend, addedAtStart(settings, environment), weightsOf(settings));
  await refuseUnkept(opened, settings, environment);
  return opened;
}

/**
 * Gives a model, or a part of one, the adapters that a run asks for, and freezes the rest of it. Without them it stays.
 *
 * @throws {SettingsError} as {@link adapt} does.
 */
export function adaptFor(choice: AdapterChoice, model: StoredModel): void {
  if (choice.loraRank > 0) adapt(model, optionsOf(choice), new Random(choice.seed).child(1));
}

/** A format for reading only in which a matrix of a model lies; null where there is none. */
function readOnlyFormat(model: object): WeightFormatName | null {
  const dtypes = [...parameters(model).values()].map(({ dtype }) => dtype);
  return dtypes.find((dtype) => isWeightFormat(dtype)) ?? null;
}

/** How the adapters of a run are kept. */
export interface AdapterKeeping {
  /** All that the run learns, by name: a checkpoint holds it beside the merged model. */
  readonly tensors: () => ReadonlyMap<string, Tensor>;
  /** What a folder of the run's model holds: PEFT's files alone where the base lies in a format for reading only. */
  readonly contents: (merged: ModelContents) => ModelContents;
  /** Writes PEFT's files beside the final model, for those who keep the base and want only what was learned. */
  readonly save: () => Promise<void>;
}

/** What was adapted, and how its folder is called in PEFT's files. */
export interface AdaptedRun {
  /** With all that is trained. */
  readonly model: object;
  readonly bindings: () => readonly TensorBinding[];
  readonly taskType: AdapterTask;
  /** Parameters that are trained whole, by their names in a folder. */
  readonly head?: ReadonlyMap<string, Parameter>;
  /** Matrices with rows for tokens that the base lacks. */
  readonly enlarged?: readonly Tensor[];
}

/** How a run keeps its adapters; null for one without. */
export function keepingOf(
  { model, bindings, taskType, head = new Map(), enlarged = [] }: AdaptedRun,
  choice: AdapterChoice & { readonly model: string },
  { folder, note }: StageEnvironment,
): AdapterKeeping | null {
  if (choice.loraRank === 0) return null;
  const isReadOnly = readOnlyFormat(model) !== null;
  const isAdded = (choice.adapter ?? []).length > 0;
  const adapter = (): AdapterContents => {
    const whole = [...head].map(([name, parameter]) => ({
      name: `base_model.model.${name}`,
      shape: parameter.shape,
      read: () => parameter.floats(),
    }));
    const about = { ...optionsOf(choice), base: choice.model, taskType, withAdded: isReadOnly && isAdded };
    return adapterContents(bindings(), model, about, whole, enlarged);
  };
  return {
    tensors: () => trainedParameters(model),
    contents: (merged) => (isReadOnly ? { ...merged, adapter: adapter() } : merged),
    async save() {
      const added = choice.adapter?.join(" and ");
      if (isReadOnly) {
        const also = isAdded ? `; it holds the change of ${added}, too` : "";
        return note(`${folder.finalPath} is an adapter of ${choice.model}, which stays as it is${also}`);
      }
      const path = join(folder.path, "adapter");
      await writeFolderAtomic(path, (inside) => fillAdapterFolder(inside, adapter()));
      note(`adapter in ${path}${isAdded ? `, to be added after ${added}` : ""}`);
    },
  };
}

function optionsOf({ loraRank, loraAlpha, loraTargets, loraDropout = 0 }: AdapterChoice): LowRankOptions {
  return { rank: loraRank, alpha: loraAlpha, targets: loraTargets, dropout: loraDropout };
}

/** {@link keepingOf} of a model that writes. */
export function keepingOfAssistant(
  { model, family }: Pick<Assistant, "model" | "family">,
  choice: AdapterChoice & { readonly model: string },
  environment: StageEnvironment,
  enlarged: readonly Tensor[] = [],
): AdapterKeeping | null {
  const run = { model, bindings: () => family.tensors(model), taskType: "CAUSAL_LM", enlarged } as const;
  return keepingOf(run, choice, environment);
}

/**
 * What a policy was at the start; beside adapters, the policy with them off.
 *
 * @throws {SettingsError} when it reads other tokens.
 */
export async function frozenReference(
  policy: Assistant,
  {
    reference,
    model,
    ...choice
  }: StartChoice & { readonly adapter: readonly string[]; readonly reference: string | null },
  backend: Backend,
): Promise<LanguageModel> {
  const isStart = (reference ?? model) === model;
  if (choice.loraRank > 0 && isStart) return new AdapterOff(policy.model);
  const opened = await openTrainee(reference ?? model, backend, isStart ? choice.adapter : [], weightsOf(choice));
  refuseOtherTokenizer(`reference ${reference ?? model}`, policy.encoder.tokenizer, opened.encoder.tokenizer);
  return freeze(opened.model);
}
