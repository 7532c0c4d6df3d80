import { z } from "zod";
import { CountingBackend } from "../backend/counting/index.ts";
import type { Backend } from "../backend/kernels.ts";
import type { WeightFormatName } from "../backend/weight-formats.ts";
import { fitsFormat, isWeightFormat } from "../backend/weight-formats.ts";
import type { Placement } from "../checkpoint/assign-tensors.ts";
import type { TensorSource } from "../checkpoint/tensor-source.ts";
import { SettingsError } from "../core/errors.ts";
import type { Parameter } from "../nn/parameters.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import type { AnyFamily, ModelFamily } from "./family.ts";
import type { StoredModel } from "./language-model.ts";
import { renaming } from "./tensor-names.ts";

const choices = ["float32", "bfloat16", "q8_0", "q4_0"] as const satisfies readonly ("float32" | WeightFormatName)[];

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

/** The formats of blocks and floats in files that memory has too. */
const sameInMemory: Readonly<Record<string, WeightFormatName | null>> = {
  ...{ F32: null, F16: null, F64: null }, // float16 has numbers that bfloat16 lacks
  ...{ BF16: "bfloat16", Q8_0: "q8_0", Q4_0: "q4_0" },
};

/** A format for each matrix of a model in the order in which it makes them, null for float32; and the bytes of all tensors. */
export interface WeightPlan {
  readonly formats: readonly (WeightFormatName | null)[];
  readonly bytes: number;
}

/**
 * Finds out in which format each matrix of a model is to lie, by making the model where nothing is held. A format whose
 * blocks do not fill a matrix's rows gives way to bfloat16. As stored, blocks that memory does not know become q8_0, which
 * rounds less than any of them did.
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
  const types = new Map(tensors.names().map((inFile) => [rename(inFile), tensors.info(inFile).dtype]));
  const formats = init.matrices.map((matrix) => {
    const parts = placements.filter(({ tensor }) => tensor.storage === matrix.storage);
    return formatOf(matrix, choice, new Set(parts.map(({ name }) => types.get(name) ?? "F32")));
  });
  if (choice !== "stored" && formats.length === 0) {
    throw new SettingsError(`weights: a ${family.modelType} has no matrices that could lie as ${choice}; leave it out`);
  }
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
  return init.matrices.map((matrix) => formatOf(matrix, choice, new Set()));
}

/** What {@link planWeights} looks at. */
interface WeightSource {
  readonly family: AnyFamily;
  readonly tensors: TensorSource;
  readonly choice: WeightChoice;
  /** Numbers in all tensors. */
  readonly stored: number;
}

function formatOf(matrix: Parameter, choice: WeightChoice, stored: ReadonlySet<string>): WeightFormatName | null {
  if (choice === "float32") return null;
  const wanted = choice === "stored" ? storedFormat(stored) : choice;
  return wanted === null || fitsFormat(wanted, matrix.axis(-1)) ? wanted : "bfloat16";
}

/** The format of a matrix whose parts a file stores as these types. */
function storedFormat(types: ReadonlySet<string>): WeightFormatName | null {
  const [first = "F32", ...others] = types;
  const same = sameInMemory[first];
  if (others.length === 0 && same !== undefined) return same;
  return [first, ...others].some((type) => sameInMemory[type] === null) ? null : "q8_0";
}
