import { existsSync } from "node:fs";
import { z } from "zod";
import type { Backend } from "../../backend/kernels.ts";
import type { ModelContents } from "../../checkpoint/model-folder.ts";
import { SettingsError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import { Random } from "../../core/random.ts";
import type { JsonObject } from "../../files/json.ts";
import type { Assistant } from "../../generate/assistant.ts";
import { loadTokenizerFor, openAssistant } from "../../generate/assistant.ts";
import type { AnyFamily, ModelFamily, ModelShape } from "../../models/family.ts";
import { families, otherFamilies } from "../../models/index.ts";
import type { StoredModel, TextModel } from "../../models/language-model.ts";
import { familyIn, loadModelOf } from "../../models/load.ts";
import type { LowRankOptions } from "../../models/low-rank-adapters.ts";
import { storedTensors } from "../../models/read-model.ts";
import { Initializer, parameterBytes } from "../../nn/parameters.ts";
import { ChatEncoder } from "../../text/encode-chat.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { tokenizerFiles } from "../../text/tokenizer-files.ts";
import type { AdapterChoice } from "../adapter-run.ts";
import { addedAtStart, refuseUnkept, startOf, weightsOf } from "../adapter-run.ts";
import { refuseLargeStep } from "../plan/fit.ts";
import { plannedModel } from "../plan/plan-models.ts";
import { plainRun } from "../plan/prepared-step.ts";
import type { StageEnvironment } from "../stage.ts";
import type { TrainingText } from "./tokenizer.ts";
import { pretrainingTokenizer } from "./tokenizer.ts";

/** Settings that shape a new model, to spread into a schema. A model that exists has a shape already. */
export const shapeSettings = {
  layers: size("blocks of a new model (default: 6)", "num_hidden_layers"),
  heads: size("attention heads of a new model (default: 6)", "num_attention_heads"),
  width: size("width of a new model's hidden states (default: 384)", "hidden_size"),
  context: size("tokens the model sees at once (default: 256)", "block_size"),
  dropout: z.number().min(0).lt(1).optional().describe("share dropped while training a new model (default: 0)").meta({
    group: "Model",
  }),
} as const;

/** Tokens that a run's steps see at once where neither settings nor the model say less. */
export const usualContext = 256;

const newShape = { layers: 6, heads: 6, width: 384, context: usualContext, dropout: 0 } as const;

type Shape = z.output<z.ZodObject<typeof shapeSettings>>;

interface ModelSettings extends Shape, TrainingText {
  readonly model: string;
  readonly tokenizer?: string | undefined;
  readonly seed: number;
  readonly batchSize: number;
  readonly recompute: boolean;
  readonly loraRank: number;
  readonly loraTargets: LowRankOptions["targets"];
  readonly weights?: AdapterChoice["weights"];
  readonly adapter: readonly string[];
}

/**
 * The model a pretraining run works on: that of the checkpoint it goes on from, one from a folder, or a new one.
 *
 * @throws {SettingsError} when the model is neither a family nor a folder, or exists with another shape than is asked.
 */
export async function openPretraining(
  settings: ModelSettings,
  environment: StageEnvironment,
  backend: Backend,
): Promise<Assistant> {
  const { folder } = environment;
  const existing = isFamily(settings.model) ? (folder.checkpoint?.path ?? null) : startOf(settings, environment);
  if (existing === null) return createModel(settings, environment, backend);
  if (!existsSync(existing)) throw unknownModel(existing);
  if (!folder.checkpoint) refuseForExisting(existing, settings);
  const opened = await openAssistant(existing, backend, weightsOf(settings), addedAtStart(settings, environment));
  await refuseUnkept(opened, settings, environment);
  if (!folder.checkpoint) refuseHeads(opened.family, settings);
  refuseOtherShape(existing, opened.model, settings);
  await refuseLargeRun(opened.family, opened.model.settings, settings, backend, opened.model);
  return opened;
}

function isFamily(name: string): name is keyof typeof families {
  return Object.hasOwn(families, name);
}

async function createModel(
  settings: ModelSettings,
  environment: StageEnvironment,
  backend: Backend,
): Promise<Assistant> {
  const { model: name, seed } = settings;
  if (!isFamily(name)) throw unknownModel(name);
  const family: ModelFamily = families[name];
  const sizes = shapeOf(family, settings);
  // Before the tokenizer, which takes its time.
  await refuseLargeRun(family, family.shaped({ ...sizes, vocabularySize: fewestTokens }), settings, backend);
  const tokenizer = await pretrainingTokenizer(settings.tokenizer ?? "bpe-4096", settings, environment);
  const shaped = family.shaped({ ...sizes, vocabularySize: tokenizer.vocabularySize });
  await refuseLargeRun(family, shaped, settings, backend);
  const model = family.create(shaped, new Initializer(backend, new Random(seed)));
  return { model, family, encoder: new ChatEncoder(tokenizer, null) };
}

/** What a family of another shape adds to how a model and its tokenizer are opened. */
export interface OtherModel<Settings> {
  /** The tokenizer with every token that the model needs. */
  readonly complete: (tokenizer: Tokenizer) => Tokenizer;
  /** Settings of a new model with the ids of those tokens. */
  readonly shape: (shaped: Settings, tokenizer: Tokenizer) => Settings;
}

/**
 * {@link openPretraining} for an encoder or an encoder-decoder.
 *
 * @throws {SettingsError} as there.
 */
export async function openOtherModel<Settings, Model extends TextModel>(
  family: ModelFamily<Settings, Model>,
  settings: ModelSettings & { readonly tokenizerKind: "bpe" | "wordpiece" },
  environment: StageEnvironment,
  backend: Backend,
  { complete, shape }: OtherModel<Settings>,
): Promise<{ model: Model; tokenizer: Tokenizer }> {
  const { folder, note } = environment;
  const isNew = isOtherFamily(settings.model);
  const existing = isNew ? (folder.checkpoint?.path ?? null) : startOf(settings, environment);
  if (existing !== null) {
    if (!folder.checkpoint) refuseForExisting(existing, settings);
    const report = (lacking: readonly string[]): void => {
      const parts = [...new Set(lacking.map((name) => name.split(".").slice(0, 2).join(".")))].join(", ");
      if (settings.loraRank > 0 && family.architecture === "encoder") {
        throw new SettingsError(
          `lora-rank: ${existing} has no ${parts}, which would start from random numbers and stay so beside adapters; ` +
            "leave it out, or take a folder that has it",
        );
      }
      note(`${existing}: has no ${parts}; what is missing starts from random numbers`);
    };
    const adapters = isNew ? [] : addedAtStart(settings, environment);
    const missing = { random: new Random(settings.seed), report };
    const model = await loadModelOf(family, existing, backend, { missing, weights: weightsOf(settings), adapters });
    await refuseUnkept({ family, model }, settings, environment);
    refuseOtherShape(existing, model, settings);
    await refuseLargeRun(family, model.settings, settings, backend, model);
    return { model, tokenizer: await loadTokenizerFor(model, existing) };
  }
  const name = settings.tokenizer ?? `${settings.tokenizerKind}-4096`;
  const sizes = shapeOf(family, settings);
  await refuseLargeRun(family, family.shaped({ ...sizes, vocabularySize: fewestTokens }), settings, backend);
  const tokenizer = complete(await pretrainingTokenizer(name, settings, environment));
  const shaped = shape(family.shaped({ ...sizes, vocabularySize: tokenizer.vocabularySize }), tokenizer);
  await refuseLargeRun(family, shaped, settings, backend);
  return { model: family.create(shaped, new Initializer(backend, new Random(settings.seed))), tokenizer };
}

/** Tokens of a tokenizer that is not learned yet, at least. */
const fewestTokens = 64;

/** @throws {MemoryError} when the steps of a run do not fit into memory. `loaded` is a model that is there already. */
async function refuseLargeRun(
  family: AnyFamily,
  shaped: unknown,
  { batchSize, context, recompute, loraRank, loraTargets, model: name }: ModelSettings,
  backend: Backend,
  loaded?: StoredModel,
): Promise<void> {
  const { context: longest = usualContext } = shaped as { readonly context?: number };
  const run = plainRun("pretrain", batchSize, context ?? Math.min(longest, usualContext));
  await refuseLargeStep(
    plannedModel(name, family, shaped, loaded),
    { ...run, recompute, loraRank, loraTargets },
    {
      ...{ backend, loaded: loaded ? parameterBytes(loaded) : 0, canRecompute: true },
      smaller: loaded ? "take a smaller model" : "lower --layers or --width",
    },
  );
}

/** What the model folder of an encoder or an encoder-decoder is made from. */
export function modelContents<Settings, Model extends TextModel & { readonly settings: Settings }>(
  family: ModelFamily<Settings, Model>,
  model: Model,
  tokenizer: Tokenizer,
): ModelContents {
  const config = family.writeConfig(model.settings, { endOfText: tokenizer.endOfText }) as JsonObject;
  const generationConfig = family.generationConfig?.(model.settings) as JsonObject | undefined;
  const extraFiles = tokenizerFiles(tokenizer);
  return { config, ...(generationConfig && { generationConfig }), tensors: storedTensors(family, model), extraFiles };
}

/**
 * The family of what a run works on: its checkpoint, a folder, or a new model.
 *
 * @throws {SettingsError} when the model is neither a family nor a folder.
 * @throws {CheckpointError} when the folder is damaged, or holds no model of ours.
 */
export async function familyOfRun(
  { model: name }: Pick<ModelSettings, "model">,
  { folder }: StageEnvironment,
): Promise<AnyFamily> {
  if (folder.checkpoint) return familyIn(folder.checkpoint.path);
  if (isFamily(name)) return families[name];
  if (isOtherFamily(name)) return otherFamilies[name];
  if (!existsSync(name)) throw unknownModel(name);
  return familyIn(name);
}

function isOtherFamily(name: string): name is keyof typeof otherFamilies {
  return Object.hasOwn(otherFamilies, name);
}

/** Sizes of a new model, those that are not given being the usual ones. */
function shapeOf(family: AnyFamily, settings: ModelSettings): Omit<ModelShape, "vocabularySize"> {
  refuseHeads(family, settings);
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  const { layers, heads, width, context, dropout } = { ...newShape, ...given } as typeof newShape;
  if (family.hasHeads !== false && width % heads !== 0) {
    throw new SettingsError(
      `heads: ${heads} do not divide the width of ${width}; choose heads that do, such as ${divisorNear(width, heads)}`,
    );
  }
  return { layers, heads, width, context, dropout };
}

/** @throws {SettingsError} when heads are asked for and the family has none. */
function refuseHeads({ hasHeads, modelType }: AnyFamily, { heads }: ModelSettings): void {
  if (hasHeads !== false || heads === undefined) return;
  throw new SettingsError(`heads: ${heads} are asked for, an ${modelType} has none; leave --heads out`);
}

function divisorNear(width: number, heads: number): number {
  const divisors = Array.from({ length: width }, (_, i) => i + 1).filter((n) => width % n === 0);
  return divisors.reduce((best, n) => (Math.abs(n - heads) < Math.abs(best - heads) ? n : best), 1);
}

function unknownModel(name: string): SettingsError {
  const known = [...Object.keys(families), "prefix", ...Object.keys(otherFamilies)];
  const near = nearest(name, known);
  const hint = near ? `did you mean ${near}?` : `new models are ${known.join(", ")}`;
  return new SettingsError(`model: there is no family and no folder called ${name}; ${hint}`);
}

/** A model that exists has a tokenizer and dropout of its own. */
function refuseForExisting(path: string, { tokenizer, dropout }: ModelSettings): void {
  for (const [key, value] of Object.entries({ tokenizer, dropout })) {
    if (value === undefined) continue;
    throw new SettingsError(`${key}: ${value} is asked for, ${path} has its own; leave --${key} out`);
  }
}

function refuseOtherShape(path: string, { settings }: TextModel, wanted: ModelSettings): void {
  const own = settings as unknown as Readonly<Record<string, unknown>>;
  for (const key of ["layers", "heads", "width"] as const) {
    // A recurrent model has no heads, whatever it was made with.
    if (wanted[key] === undefined || own[key] === undefined || wanted[key] === own[key]) continue;
    throw new SettingsError(`${key}: ${wanted[key]} is asked for, ${path} has ${String(own[key])}; leave --${key} out`);
  }
  if ((wanted.context ?? 0) > settings.context) {
    throw new SettingsError(
      `context: ${wanted.context} is asked for, ${path} sees ${settings.context} tokens at most; use a --context up to that`,
    );
  }
}

function size(description: string, alias: string) {
  return z
    .int()
    .positive()
    .optional()
    .describe(description)
    .meta({ aliases: [alias], group: "Model" });
}
