import type { Initializer } from "../nn/parameters.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { LanguageModel, StoredModel } from "./language-model.ts";

/** The few numbers that shape a new model of any family. */
export interface ModelShape {
  readonly vocabularySize: number;
  readonly context: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Used wherever the family drops something. */
  readonly dropout: number;
}

/** One tensor of a model folder, and where the model keeps it. */
export interface TensorBinding {
  /** Name in the weights file. */
  readonly name: string;
  /** A parameter, or the stretch of one that holds several tensors of the file. */
  readonly parameter: Tensor;
  /** A matrix that the file holds as `[in, out]`. */
  readonly transposed: boolean;
  /** Row i of the parameter is row `rows[i]` of the file; without, they are in the same order. */
  readonly rows?: Int32Array | undefined;
  /** The parameter is what the file holds, plus this. */
  readonly shift?: number | undefined;
}

/** Ids that a model's config.json repeats from its tokenizer. */
export interface SpecialIds {
  /** The token that begins a text; null, or left out, where that is the end of the text before. */
  readonly beginOfText?: number | null;
  readonly endOfText: number | null;
}

/** The contents of a config.json. */
export type ModelConfig = Record<string, unknown>;

/** What a model does with a text: continue it, name its parts, or answer it with another. */
export type Architecture = "decoder" | "encoder" | "encoder-decoder";

/**
 * A kind of model: how to make one, and how it is written in the layout that the `transformers` library reads. One
 * record per family; shared code reads these properties and never asks which family it has. Members are methods, whose
 * parameters TypeScript compares loosely, so that a table can hold families of different models.
 */
export interface ModelFamily<Settings = unknown, Model extends StoredModel = LanguageModel> {
  /** One line for help texts. */
  readonly summary: string;
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** Without it, a decoder. */
  readonly architecture?: Architecture;
  /** Whether its layers have attention heads; without it, they have. */
  readonly hasHeads?: boolean;
  /** A reasonable model of the given shape. */
  shaped(shape: ModelShape): Settings;
  create(settings: Settings, init: Initializer): Model;
  /** @throws {CheckpointError} naming the key, when a value is missing, wrong, or asks for something not supported. */
  readConfig(config: ModelConfig): Settings;
  writeConfig(settings: Settings, ids: SpecialIds): ModelConfig;
  /** Every parameter, in file order. */
  tensors(model: Model): readonly TensorBinding[];
  /** Tensors that other programs' files may hold beside those, and that carry no information. */
  readonly ignoredTensors: RegExp;
  /** Prefixes that files may put before every name, or leave out. */
  readonly optionalPrefix: string;
  /** Names of tensors that are of heads for one task or another, and that folders for other tasks lack. */
  readonly optionalParts?: RegExp;
  /** Other spellings of names in files. Where a file has both, the other spelling is the one that counts. */
  readonly spellings?: readonly (readonly [RegExp, string])[];
  /** Names of tensors that must hold the same numbers as another, where files have them. */
  readonly copies?: { readonly names: RegExp; readonly of: string };
  /** Keys of `generation_config.json` that say more of a model than the same ones of config.json. */
  readonly generationKeys?: readonly string[];
  /** What a folder's `generation_config.json` says; without, shared code knows. */
  generationConfig?(settings: Settings): ModelConfig;
  /** Without it, the output layer is never another matrix than the config says. */
  readonly ownHead?: OwnHead;
}

/**
 * Names of the two matrices that are one where a family's setting `tiedEmbeddings` is true. A file that holds both, and
 * not the same numbers in both, is of a model whose output layer is its own, whatever its config says.
 */
export interface OwnHead {
  readonly embedding: string;
  readonly head: string;
}

/** A family whatever it does with a text. */
export type AnyFamily = ModelFamily<unknown, StoredModel>;

/** Gives a family literal its types, and nothing else. */
export function defineFamily<Settings, Model extends StoredModel>(
  family: ModelFamily<Settings, Model>,
): ModelFamily<Settings, Model> {
  return family;
}
