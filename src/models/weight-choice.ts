import { z } from "zod";
import { CountingBackend } from "../backend/counting/index.ts";
import type { Backend } from "../backend/kernels.ts";
import type { WeightFormatName } from "../backend/storage.ts";
import { fitsFormat, formatOfFileType, isWeightFormat, weightFormats } from "../backend/weight-formats.ts";
import type { Placement } from "../checkpoint/assign-tensors.ts";
import type { RawFormat } from "../checkpoint/load-raw.ts";
import { rawFormat } from "../checkpoint/load-raw.ts";
import type { TensorSource } from "../checkpoint/tensor-source.ts";
import { SettingsError } from "../core/errors.ts";
import { groupBy } from "../core/group-by.ts";
import type { Parameter } from "../nn/parameters.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import type { AnyFamily, ModelFamily } from "./family.ts";
import type { StoredModel } from "./language-model.ts";
import { renaming } from "./tensor-names.ts";

const choices = ["float32", "bfloat16", "float16", "q8_0", "q6_k", "q5_0", "q4_k", "q4_0"] as const satisfies readonly (
  | "float32"
  | WeightFormatName
)[];

/**
 * How the matrices of a model lie in memory: attention, feed-forward layers, embedding and output layer. `stored` is as
 * its files have them. Norms, biases, positions and routers are float32 always.
 */
export type WeightChoice = (typeof choices)[number] | "stored";

/** `--weights` of commands that ask a model, to spread into their schema. */
export const weightSettings = {
  weights: z
    .enum(choices)
    .optional()
    .describe(
      "how the model's matrices lie in memory: smaller is faster and rounds more (default: as the file has them)",
    )
    .meta({ group: "Machine" }),
} as const;

/** What takes the place of a format whose blocks do not fill a matrix's rows: of blocks of 256 what ggml takes, then this. */
const instead: Readonly<Partial<Record<WeightFormatName, WeightFormatName>>> = {
  ...{ q4_k: "q5_0", q5_k: "q5_1", q6_k: "q8_0" },
};

/** A format for each matrix of a model in the order in which it makes them, null for float32; and the bytes of all tensors. */
export interface WeightPlan {
  readonly formats: readonly (WeightFormatName | null)[];
  readonly bytes: number;
}

/**
 * Finds out in which format each matrix of a model is to lie, by making the model where nothing is held. A format whose
 * blocks do not fill a matrix's rows gives way: of blocks of 256 to one of blocks of 32, that to bfloat16. As stored, blocks
 * that memory does not know, and those of matrices made of several kinds, become q8_0, which rounds less than any of them did.
 *
 * @throws {SettingsError} when no matrix can lie as was asked for.
 */
export function planWeights<Model extends StoredModel>(
  create: (on: Backend, formats: WeightPlan["formats"]) => { readonly model: Model; readonly init: Initializer },
  { family, tensors, choice, stored }: WeightSource,
  placementsOf: (model: Model) => readonly Placement[],
): WeightPlan {
  if (choice === "float32") return { formats: [], bytes: 4 * stored };
  const { model, init } = create(new CountingBackend(), []);
  const placements = placementsOf(model);
  const rename = renaming(family, placements, tensors);
  const found = new Map(tensors.names().map((inFile) => [rename(inFile), tensors.info(inFile)]));
  const formatIn = (placement: Placement): StoredFormat => {
    const info = found.get(placement.name);
    if (!info || plainTypes.has(info.dtype)) return "float32";
    const own = formatOfFileType[info.dtype];
    return own && (weightFormats[own].block === 1 || rawFormat(placement, info)) ? own : "other";
  };
  const partsOf = groupBy(placements, ({ tensor }) => tensor.storage);
  const formats = init.matrices.map((matrix) =>
    formatOf(matrix, choice, new Set((partsOf.get(matrix.storage) ?? []).map(formatIn))),
  );
  if (choice !== "stored" && formats.length === 0) {
    throw new SettingsError(`weights: a ${family.modelType} has no matrices that could lie as ${choice}; leave it out`);
  }
  demandSome(choice, formats, init.matrices);
  const counting = new CountingBackend();
  create(counting, formats);
  return { formats, bytes: counting.counts().inUse };
}

/**
 * The formats in which the matrices of a model lie, in the order in which `create` makes those of another that differs from
 * it in its tables at most, which are null then.
 */
export function formatsLike(model: StoredModel, create: (init: Initializer) => StoredModel): WeightPlan["formats"] {
  const init = new Initializer(new CountingBackend(), null);
  const paths = new Map([...parameters(create(init))].map(([path, { storage }]) => [storage, path]));
  const own = parameters(model);
  return init.matrices.map((matrix) => {
    const twin = own.get(paths.get(matrix.storage) ?? "");
    return twin && twin.size === matrix.size && isWeightFormat(twin.dtype) ? twin.dtype : null;
  });
}

/** The format of each matrix of a model that lies in one as a whole, as {@link planWeights} gives them. */
export function uniformFormats<Settings>(
  { create }: Pick<ModelFamily<Settings>, "create">,
  settings: Settings,
  choice: WeightChoice,
): WeightPlan["formats"] {
  if (choice === "float32" || choice === "stored") return [];
  const init = new Initializer(new CountingBackend(), null);
  create(settings, init);
  const formats = init.matrices.map((matrix) => formatOf(matrix, choice, new Set()));
  demandSome(choice, formats, init.matrices);
  return formats;
}

/** What {@link planWeights} looks at. */
interface WeightSource {
  readonly family: AnyFamily;
  readonly tensors: TensorSource;
  readonly choice: WeightChoice;
  /** Numbers in all tensors. */
  readonly stored: number;
}

/** How a file has a part of a matrix: as memory can have it, or so that it has to be rounded anew. */
type StoredFormat = RawFormat | "other";

/** Numbers that are kept as they are. */
const plainTypes: ReadonlySet<string> = new Set(["F32", "F64"]);

function formatOf(matrix: Parameter, choice: WeightChoice, stored: ReadonlySet<StoredFormat>): WeightFormatName | null {
  const wanted = choice === "stored" ? storedFormat(stored) : choice;
  return wanted === "float32" ? null : fitting(wanted, matrix.axis(-1));
}

function fitting(wanted: WeightFormatName, rowLength: number): WeightFormatName {
  return fitsFormat(wanted, rowLength) ? wanted : fitting(instead[wanted] ?? "bfloat16", rowLength);
}

/** @throws {SettingsError} when a format was asked for, and there is no matrix whose rows its blocks fill. */
function demandSome(choice: WeightChoice, formats: WeightPlan["formats"], matrices: readonly Parameter[]): void {
  const [first] = formats;
  if (choice === "stored" || choice === "float32" || !first || formats.includes(choice)) return;
  const rows = [...new Set(matrices.map((matrix) => matrix.axis(-1)))].join(", ");
  throw new SettingsError(
    `weights: ${choice} has blocks of ${weightFormats[choice].block} numbers, rows of this model's matrices have ${rows}; ` +
      `take ${first}`,
  );
}

/** The format of a matrix whose parts a file stores so. */
function storedFormat(parts: ReadonlySet<StoredFormat>): RawFormat {
  const [first = "float32", ...others] = parts;
  if (others.length === 0 && first !== "other") return first;
  return parts.has("float32") ? "float32" : "q8_0";
}
