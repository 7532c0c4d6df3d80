import { CheckpointError } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import { elementCount } from "../core/shape.ts";
import { isBlockType } from "./gguf-values.ts";

/** What a file says about a tensor without reading its values. */
export interface TensorInfo {
  /** As the file format spells it: `F32`, `BF16`, `I64`, `Q8_0` … */
  readonly dtype: string;
  readonly shape: Shape;
  /** What the bytes that {@link TensorSource.readRaw} hands out are instead of this tensor's: its transpose, or less by 1. */
  readonly rawDiffers?: "transposed" | "shifted" | undefined;
}

/** Is given the bytes of a tensor, piece after piece; the next comes when it is done. */
export type TakePiece = (raw: Uint8Array) => Promise<void> | void;

/** Named tensors that are read one at a time, on demand. */
export interface TensorSource {
  /** How messages name it: the path of the file or folder. */
  readonly name: string;
  /** In the order of the file. */
  names(): readonly string[];
  has(name: string): boolean;
  /** @throws {CheckpointError} when there is no such tensor. */
  info(name: string): TensorInfo;
  /**
   * Values in row-major order as float32, into memory of the caller's if given.
   *
   * @throws {CheckpointError} when there is no such tensor, its dtype is not a float one, or the file is damaged.
   */
  read(name: string, into?: Float32Array): Promise<Float32Array>;
  /**
   * Values of an integer or boolean tensor.
   *
   * @throws {CheckpointError} when there is no such tensor, it holds floats, or a value does not fit 32 bits.
   */
  readIntegers(name: string): Promise<Int32Array>;
  /**
   * The bytes of a tensor as its file has them, in order, some whole blocks at a time. Pieces begin at an even place and
   * share memory: use each before the next comes.
   *
   * @throws {CheckpointError} when there is no such tensor, or the file is damaged.
   */
  readRaw(name: string, take: TakePiece): Promise<void>;
  close(): Promise<void>;
}

/** Element types that can be written; floats are rounded to nearest, ties to even. */
export type WritableDtype = FloatDtype | "I32" | "I64" | "U8" | "BOOL";

/** Formats in which a model's weights can be stored. */
export type FloatDtype = "F32" | "F16" | "BF16";

/** A tensor to be written: its values are asked for when its turn comes, and not held after. */
export interface WritableTensor {
  readonly name: string;
  readonly shape: Shape;
  /** How it is stored, where that differs from the file's own dtype. Integers and `BOOL` take an Int32Array. */
  readonly dtype?: WritableDtype;
  /** Values in row-major order. */
  read(): Promise<Float32Array | Int32Array> | Float32Array | Int32Array;
}

/** The error of a source that was asked for a tensor it does not hold, with the nearest names. */
export function noSuchTensor(source: TensorSource, name: string): CheckpointError {
  const last = name.split(".").slice(-2).join(".");
  const similar = source.names().filter((other) => other.endsWith(last));
  const hint = similar.length > 0 ? `; similar: ${similar.slice(0, 3).join(", ")}` : "";
  return new CheckpointError(`${source.name}: there is no tensor ${name} among ${source.names().length}${hint}`);
}

/** What to do about blocks of ggml that are not read here. */
export const otherQuantization = "take a file of another quantization, such as Q8_0 or Q4_K_M";

/** The error of a tensor whose dtype cannot be read as what was asked for. */
export function unreadable(source: TensorSource, name: string, wanted: "floats" | "integers"): CheckpointError {
  const { dtype } = source.info(name);
  const floats = isBlockType(dtype) ? otherQuantization : "store it as float32, float16 or bfloat16";
  const remedy = wanted === "floats" ? floats : "check that this is the file of the model";
  return new CheckpointError(
    `${source.name}: ${name}: is stored as ${dtype}, which cannot be read as ${wanted}; ${remedy}`,
  );
}

/** @throws {CheckpointError} when memory given for a tensor's values is not as long as they are. */
export function checkLength(source: TensorSource, name: string, into: Float32Array): void {
  const length = elementCount(source.info(name).shape);
  if (into.length === length) return;
  throw new CheckpointError(`${source.name}: ${name}: holds ${length} values, ${into.length} are expected`);
}
