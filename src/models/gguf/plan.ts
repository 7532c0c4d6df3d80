import type { GgufValue } from "../../checkpoint/gguf-values.ts";
import type { WritableTensor } from "../../checkpoint/tensor-source.ts";
import { CheckpointError, UnsupportedError } from "../../core/errors.ts";
import type { AnyFamily } from "../family.ts";
import type { HeadCounts } from "./arrangement.ts";
import { bertLayout } from "./bert-layout.ts";
import { firstDifference } from "./difference.ts";
import type { GgufDescription } from "./folder.ts";
import { headCounts, layoutConfig } from "./folder.ts";
import { keyMetadata } from "./keys.ts";
import type { GgufLayout, GgufTensorName } from "./layout.ts";
import { ggufLayouts } from "./layout.ts";
import { divisorsOf, scalingMetadata } from "./rotary.ts";

/** What files call the token embedding. */
export const embeddingInFile = "token_embd.weight";

/** The part of a model's settings that is the same for all. */
export interface ModelSizes {
  readonly vocabularySize: number;
  readonly tiedEmbeddings?: boolean;
}

/** A model that is to become a file. */
export interface ExportedModel {
  readonly family: AnyFamily;
  /** In the family's terms. */
  readonly settings: ModelSizes;
  /** As the model's folder holds them. */
  readonly tensors: readonly WritableTensor[];
}

/** How a model lies in a file. */
export interface GgufPlan {
  readonly layout: GgufLayout;
  /** What the file says of the model, but for its tokenizer. */
  readonly metadata: readonly (readonly [string, GgufValue])[];
  readonly counts: HeadCounts;
  /** Tensors that the folder has in its config. */
  readonly divisors: readonly (readonly [name: string, values: Float32Array])[];
}

/**
 * The layouts of models of a `model_type`; one for each variant.
 *
 * @throws {UnsupportedError} when they cannot be written, naming those that can.
 */
export function layoutsFor(modelType: string): readonly GgufLayout[] {
  const all = [...ggufLayouts, bertLayout];
  const layouts = all.filter((candidate) => candidate.modelType === modelType);
  if (layouts.length > 0) return layouts;
  const known = [...new Set(all.map((candidate) => candidate.modelType))].join(", ");
  throw new UnsupportedError(
    `gguf: a model of type ${modelType} cannot be written for llama.cpp; those that can are ${known}`,
  );
}

/**
 * How a model lies in a file. What a file could not say is found by reading it back: the model that comes in has to be the
 * one that went out.
 *
 * @throws {UnsupportedError} when it would be another, naming in what.
 */
export async function ggufPlan(model: ExportedModel): Promise<GgufPlan> {
  let fault = "";
  for (const layout of layoutsFor(model.family.modelType)) {
    const plan = planBy(layout, model);
    const found = await faultOf(plan, model);
    if (found === null) return plan;
    fault = found;
  }
  throw new UnsupportedError(`gguf: llama.cpp runs ${model.family.modelType} only with ${fault}`);
}

function planBy(layout: GgufLayout, { settings }: ExportedModel): GgufPlan {
  const { architecture } = layout;
  const rotary = layout.rotary(settings);
  const own = [...keyMetadata(layout.keys, settings), ...scalingMetadata(rotary?.scaling ?? null)];
  const metadata = own.map(([key, value]) => [`${architecture}.${key}`, value] as const);
  return { layout, metadata, counts: headCounts(architecture, new Map(metadata)), divisors: divisorsOf(rotary) };
}

/** In what a model is not what a file can hold, or null. */
async function faultOf(plan: GgufPlan, { family, settings, tensors }: ExportedModel): Promise<string | null> {
  const { layout } = plan;
  const { scaling = null } = layout.rotary(settings) ?? {};
  if (scaling && !layout.scalings.includes(scaling.kind)) {
    const ways = layout.scalings.map((kind) => `${kind} scaling`).join(" or ");
    return `${ways || "no scaling"} of positions, this model has ${scaling.kind}`;
  }
  if (layout.output === "none" && settings.tiedEmbeddings !== true) {
    return "the embedding as output layer, this model has one of its own";
  }
  try {
    const config = await layoutConfig(layout, description(plan, tensors));
    return firstDifference(family.readConfig(config) as object, settings);
  } catch (error) {
    if (error instanceof CheckpointError) return error.message;
    throw error;
  }
}

/** The file of a plan as far as a config follows from it. */
function description({ layout, metadata, divisors }: GgufPlan, tensors: readonly WritableTensor[]): GgufDescription {
  const shapes = new Map(tensors.map(({ name, shape }) => [placeInFile(layout, name)?.name ?? name, shape]));
  const values = new Map(divisors);
  return {
    name: "gguf",
    metadata: new Map(metadata),
    names: () => [...shapes.keys(), ...values.keys()],
    has: (name) => shapes.has(name) || values.has(name),
    info: (name) => ({ dtype: "F32", shape: shapes.get(name) ?? [] }),
    read: async (name) => values.get(name) ?? new Float32Array(),
  };
}

/** What the layout says of a tensor of a folder, and its name in the file; null where the layout knows none. */
export function placeInFile(layout: GgufLayout, folderName: string): { entry: GgufTensorName; name: string } | null {
  const [, layer = ""] = /\.(\d+)\./.exec(folderName) ?? [];
  const general = folderName.replace(/\.\d+\./, ".#.").replace(/\.\d+\./, ".@.");
  const entry = layout.tensors.find(({ folder }) => folder === general);
  return entry ? { entry, name: entry.gguf.replace("#", layer) } : null;
}
