import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { isWeightFormat } from "../backend/weight-formats.ts";
import type { Placement } from "../checkpoint/assign-tensors.ts";
import { fromStored } from "../checkpoint/assign-tensors.ts";
import { openAdapterWeights } from "../checkpoint/model-folder.ts";
import type { TensorSource } from "../checkpoint/tensor-source.ts";
import { CheckpointError, SettingsError, UnsupportedError } from "../core/errors.ts";
import { parseContents } from "../core/parse-contents.ts";
import type { Shape } from "../core/shape.ts";
import { formatShape, sameShape } from "../core/shape.ts";
import { readJsonObject } from "../files/json-file.ts";
import type { Linear } from "../nn/linear.ts";
import { addLowRank } from "../nn/low-rank.ts";
import { Tensor } from "../tensor/tensor.ts";
import { sumOfChanges } from "./added-low-rank.ts";
import type { AnyFamily } from "./family.ts";
import type { StoredModel } from "./language-model.ts";
import { linearsOf } from "./low-rank-adapters.ts";
import { modelPlacements } from "./read-model.ts";
import { renaming } from "./tensor-names.ts";

/** What PEFT's `adapter_config.json` says of how a change counts. */
const AdapterConfig = z.object({
  peft_type: z.string(),
  lora_alpha: z.number(),
  use_rslora: z.boolean().nullish(),
  use_dora: z.boolean().nullish(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
  base_model_name_or_path: z.string().nullish(),
});
type AdapterConfig = z.output<typeof AdapterConfig>;

/** What makes a change another one than a share of B·A on the base that is named, by key of the config. */
const unsupported: Readonly<Record<string, (value: unknown) => boolean>> = {
  peft_type: (kind) => typeof kind === "string" && kind !== "LORA",
  use_dora: (isUsed) => isUsed === true,
  // These start from a base with other weights.
  init_lora_weights: (way) => typeof way === "string" && /^(pissa|olora|corda|loftq|lora_ga)/.test(way),
};

/** An adapter folder and how much of it is added. */
interface AdapterChoice {
  readonly path: string;
  readonly weight: number;
}

/** What an adapter does to one tensor of a model. */
interface Change {
  readonly placement: Placement;
  apply(): Promise<void>;
}

/** A low-rank change of a matrix, as the adapter's file has it. */
export interface LowRankChange extends Change {
  readonly rank: number;
  /** What B·A is multiplied by. */
  readonly scale: number;
  /** A, `[rank, in]`. */
  down(): Promise<Float32Array>;
  /** B, `[out, rank]`. */
  up(): Promise<Float32Array>;
}

/** What adapters are added to. */
export interface AdapterTarget {
  readonly family: AnyFamily;
  readonly model: StoredModel;
  /** Where its tensors lie in a folder; default: those of the family. */
  readonly placements?: readonly Placement[];
  /** Whether the model has been read with what the adapters hold whole. */
  readonly hasWhole?: boolean;
}

/**
 * Adds adapters in PEFT's layout to the matrices of a model, one after the other, in 32 bits. What PEFT keeps whole beside
 * them (`modules_to_save`, biases) takes the place of the model's own. Where a layer's matrix is in a format for reading
 * only, those of all layers stay as they are, and each adds its change to what it gives.
 *
 * @param choices - Folders; `FOLDER=0.5` adds half of the change.
 * @throws {CheckpointError} when an adapter is damaged, of another kind, or of another model; that one has changed nothing.
 * @throws {SettingsError} when an adapter changes a matrix that is no layer's, and can only be read.
 */
export async function addAdapters(target: AdapterTarget, choices: readonly string[]): Promise<void> {
  for (const choice of choices.map(parseChoice)) await addAdapter(target, choice);
}

function parseChoice(text: string): AdapterChoice {
  const [, path = "", weight = ""] = /^(.+)=([^=/\\]*)$/.exec(text) ?? [];
  if (path === "" || existsSync(text)) return { path: text, weight: 1 };
  if (weight.trim() !== "" && Number.isFinite(Number(weight))) return { path, weight: Number(weight) };
  throw new SettingsError(
    `adapter: ${text}: its weight is ${JSON.stringify(weight)}; give a number, such as ${path}=0.5`,
  );
}

async function addAdapter(target: AdapterTarget, choice: AdapterChoice): Promise<void> {
  await withAdapter(target, choice, async ({ low, whole }) => {
    for (const { apply } of [...low, ...whole]) await apply();
  });
}

/**
 * Opens an adapter whose every change is a low-rank one, for as long as `use` takes.
 *
 * @param text - A folder, or `FOLDER=0.5`.
 * @throws {CheckpointError} as {@link addAdapters} does.
 * @throws {UnsupportedError} when it holds tensors whole, such as an enlarged embedding or a head.
 */
export async function withLowRankChanges<Result>(
  target: AdapterTarget,
  text: string,
  use: (changes: readonly LowRankChange[]) => Promise<Result>,
): Promise<Result> {
  const choice = parseChoice(text);
  return withAdapter(target, choice, async ({ low, whole: [first] }) => {
    if (first === undefined) return use(low);
    throw new UnsupportedError(
      `${choice.path}: holds ${first.placement.name} whole, which is no low-rank change; merge it into its model ` +
        "(stemma merge), and take that",
    );
  });
}

/** Everything that an adapter changes. */
interface PlannedChanges {
  readonly low: readonly LowRankChange[];
  readonly whole: readonly Change[];
}

async function withAdapter<Result>(
  target: AdapterTarget,
  { path, weight }: AdapterChoice,
  use: (changes: PlannedChanges) => Promise<Result>,
): Promise<Result> {
  const config = await readConfig(path);
  const source = await openAdapterWeights(path);
  try {
    return await use(planChanges(target, source, { path, weight, config }));
  } finally {
    await source.close();
  }
}

async function readConfig(path: string): Promise<AdapterConfig> {
  const file = join(path, "adapter_config.json");
  if (!existsSync(file)) {
    throw new CheckpointError(`${path}: has no adapter_config.json; give the folder of an adapter as PEFT writes it`);
  }
  const config = await readJsonObject(file);
  const refused = Object.entries(unsupported).find(([key, isOther]) => isOther(config[key]));
  if (!refused) return parseContents(file, AdapterConfig, config);
  const [key] = refused;
  throw new CheckpointError(
    `${file}: ${key} is ${JSON.stringify(config[key])}, which is not supported; merge the adapter with PEFT ` +
      "(merge_and_unload) and open the folder that it saves",
  );
}

interface Adapter extends AdapterChoice {
  readonly config: AdapterConfig;
}

/** Everything that an adapter changes, after checking that all of it is the model's. */
function planChanges(target: AdapterTarget, source: TensorSource, adapter: Adapter): PlannedChanges {
  refuseEmbeddings(source);
  const { family, model, placements: own = modelPlacements(family, model), hasWhole = false } = target;
  const placements = new Map(own.map((placement) => [placement.name, placement]));
  const modules = [...new Set(source.names().map((name) => moduleTensor(name)))];
  const inFile = { names: () => modules, has: (name: string) => modules.includes(name) };
  const rename = renaming(family, [...placements.values()], inFile);
  const head = family.ownHead && !placements.has(family.ownHead.head) ? family.ownHead.head : null;
  const placeOf = (name: string): Placement => {
    const placement = moduleTensor(name) === head ? undefined : placements.get(rename(moduleTensor(name)) ?? "");
    if (placement) return placement;
    throw otherBase(
      adapter,
      `${name} is for ${moduleTensor(name)}, which the model does not have as a matrix of its own`,
    );
  };
  const pairs = source.names().filter((name) => loraPart(name) === "A");
  const rest = source.names().filter((name) => loraPart(name) === null);
  const ups = new Set(source.names().filter((name) => loraPart(name) === "B"));
  const linears = [...linearsOf(model).values()];
  const layers = new Map(linears.map((layer) => [layer.weight.storage, layer]));
  const isApart = linears.some(({ weight }) => isWeightFormat(weight.dtype));
  const low = pairs.map((down) => {
    const up = down.replace("lora_A", "lora_B");
    if (!ups.delete(up)) throw new CheckpointError(`${source.name}: ${down} has no ${up}; the file is incomplete`);
    const placement = placeOf(down);
    const layer = layers.get(placement.tensor.storage) ?? null;
    return lowRankChange({ placement, layer, isApart }, [down, up], source, adapter);
  });
  const [lone] = ups;
  if (lone !== undefined) throw new CheckpointError(`${source.name}: ${lone} has no lora_A; the file is incomplete`);
  const whole = hasWhole ? [] : rest.map((name) => wholeChange(placeOf(name), name, source, adapter));
  return { low, whole };
}

function refuseEmbeddings(source: TensorSource): void {
  const name = source.names().find((own) => own.includes(".lora_embedding_"));
  if (name === undefined) return;
  throw new CheckpointError(
    `${source.name}: ${name} is an adapter of the embedding, which is not supported; merge it with PEFT ` +
      "(merge_and_unload) and open the folder that it saves",
  );
}

/** `base_model.model.x.lora_A.weight` → `x.weight`: what a folder of the base calls the tensor that is changed. */
export function moduleTensor(name: string): string {
  return name
    .replace(/^base_model\.model\./, "")
    .replace(/\.lora_[AB](\.default)?\.weight$/, ".weight")
    .replace(/\.(base_layer|modules_to_save(\.default)?|original_module)\./, ".");
}

/** Which half of a change a tensor is; null for what is kept whole. */
export function loraPart(name: string): "A" | "B" | null {
  const [, part] = /\.lora_([AB])(?:\.default)?\.weight$/.exec(name) ?? [];
  return part === "A" || part === "B" ? part : null;
}

/** What is changed. */
interface ChangedMatrix {
  readonly placement: Placement;
  /** The layer that it is of; null where it is no layer's. */
  readonly layer: Linear | null;
  /** Whether layers keep changes beside their matrices. */
  readonly isApart: boolean;
}

function lowRankChange(
  { placement, layer, isApart }: ChangedMatrix,
  [down, up]: readonly [string, string],
  source: TensorSource,
  adapter: Adapter,
): LowRankChange {
  const { tensor, rows } = placement;
  const { backend } = tensor;
  const [rank = 0] = source.info(down).shape;
  const [outputs = 0, inputs = 0] = tensor.shape;
  const fits = (name: string, shape: Shape): void => {
    const { shape: own } = source.info(name);
    if (!sameShape(own, shape))
      throw otherBase(adapter, `${name} is ${formatShape(own)}, ${formatShape(shape)} fits the model`);
  };
  fits(down, [rank, inputs]);
  fits(up, [outputs, rank]);
  const scale = adapter.weight * scaleOf(adapter.config, moduleTensor(down).replace(/\.weight$/, ""), rank);
  if (isWeightFormat(tensor.dtype) && !layer) throw readOnly(adapter, placement, moduleTensor(down));
  return {
    ...{ placement, rank, scale },
    down: () => source.read(down),
    up: () => source.read(up),
    async apply() {
      const downValues = await source.read(down);
      const upValues = fromStored({ ...placement, transposed: false, rows, shift: 0 }, await source.read(up));
      if (isApart && layer) {
        const firstRow = (tensor.offset - layer.weight.offset) / inputs;
        const change = { a: downValues, b: upValues, rank, scale, firstRow };
        layer.added = await sumOfChanges(layer.added, layer.weight, change);
        return;
      }
      const a = Tensor.from(backend, downValues, [rank, inputs]);
      const b = Tensor.from(backend, upValues, [outputs, rank]);
      addLowRank(tensor, a, b, scale);
      a.release();
      b.release();
    },
  };
}

/** α / r, or α / √r; α may differ from module to module. */
function scaleOf({ lora_alpha, alpha_pattern, use_rslora }: AdapterConfig, module: string, rank: number): number {
  const isOf = (pattern: string): boolean => new RegExp(`^(.*\\.)?(${pattern})$`).test(module);
  const alpha = Object.entries(alpha_pattern ?? {}).find(([pattern]) => isOf(pattern))?.[1] ?? lora_alpha;
  return alpha / (use_rslora === true ? Math.sqrt(rank) : rank);
}

function wholeChange(placement: Placement, name: string, source: TensorSource, adapter: Adapter): Change {
  const { tensor, transposed } = placement;
  const expected = transposed ? tensor.shape.toReversed() : tensor.shape;
  const { shape } = source.info(name);
  const [rows = 0] = shape;
  const [own = 0] = expected;
  if (!sameShape(shape, expected)) {
    if (rows > own && sameShape(shape.slice(1), expected.slice(1))) {
      throw new CheckpointError(
        `${adapter.path}: its training added tokens: ${name} has ${rows}, the model's ${own}; take the model of its run (final/), which has them`,
      );
    }
    throw otherBase(adapter, `${name} is ${formatShape(shape)}, the model's is ${formatShape(expected)}`);
  }
  if (adapter.weight !== 1) {
    throw new SettingsError(
      `adapter: ${adapter.path} holds ${name} whole, of which no share can be added; leave out =${adapter.weight}`,
    );
  }
  if (isWeightFormat(tensor.dtype)) throw readOnly(adapter, placement, name);
  return {
    placement,
    async apply() {
      tensor.write(fromStored(placement, await source.read(name)));
    },
  };
}

function readOnly({ path }: Adapter, { tensor }: Placement, name: string): SettingsError {
  return new SettingsError(
    `adapter: ${path} changes ${name}, which lies as ${tensor.dtype} and can only be read; add --weights float32`,
  );
}

function otherBase({ path, config }: Adapter, fault: string): CheckpointError {
  const base = config.base_model_name_or_path;
  const whose = base ? `it was made for ${base}` : "its config does not say which model it was made for";
  return new CheckpointError(`${path}: is an adapter of another model: ${fault}; ${whose}`);
}
