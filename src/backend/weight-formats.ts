import {
  dequantizeQ4,
  dequantizeQ8,
  q4BlockBytes,
  q8BlockBytes,
  quantizationBlock,
  quantizeQ4,
  quantizeQ8,
} from "../core/block-quantization.ts";
import { CheckpointError, ShapeError, UnsupportedError } from "../core/errors.ts";
import { fromBfloat16, toBfloat16 } from "../core/float-formats.ts";
import type { Dtype, Storage } from "./kernels.ts";

/** Formats in which weights may lie in memory instead of float32: smaller, and for reading only. */
export type WeightFormatName = "bfloat16" | "q8_0" | "q4_0";

/** How numbers lie in a format. A block is the least that can be read: offsets and lengths are multiples of it. */
export interface WeightFormat {
  /** Numbers in a block. */
  readonly block: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /** Whole blocks → their numbers, exactly. `raw` begins at an even byte. */
  decode(raw: Uint8Array, to: Float32Array): void;
  /**
   * Numbers → the nearest the format has.
   *
   * @throws {CheckpointError} naming `where`, when a number is not finite or too large for the format.
   */
  encode(where: string, values: Float32Array, to: Uint8Array): void;
}

/** The formats by name. Blocks are those of GGUF files, bit by bit. */
export const weightFormats: Readonly<Record<WeightFormatName, WeightFormat>> = {
  bfloat16: {
    block: 1,
    bytes: 2,
    decode: (raw, to) => fromBfloat16(pairsOf(raw), to),
    encode(where, values, to) {
      const bad = values.find((value) => !Number.isFinite(value));
      if (bad !== undefined) throw new CheckpointError(`${where}: ${bad} is no number that a model computes with`);
      toBfloat16(values, pairsOf(to));
    },
  },
  q8_0: { block: quantizationBlock, bytes: q8BlockBytes, decode: dequantizeQ8, encode: quantizeQ8 },
  q4_0: { block: quantizationBlock, bytes: q4BlockBytes, decode: dequantizeQ4, encode: quantizeQ4 },
};

/** Whether memory of an element type holds weights that only products, gathers and a decoding copy read. */
export function isWeightFormat(dtype: Dtype): dtype is WeightFormatName {
  return Object.hasOwn(weightFormats, dtype);
}

/**
 * Bytes that elements of a type take.
 *
 * @throws {ShapeError} when they are not whole blocks.
 */
export function storedBytes(dtype: Dtype, length: number): number {
  if (!isWeightFormat(dtype)) return 4 * length;
  const { block, bytes } = weightFormats[dtype];
  if (length % block === 0) return (length / block) * bytes;
  throw new ShapeError(`tensor: ${length} elements are no whole blocks of ${dtype}, which hold ${block} each`);
}

/** Whether rows of some length are whole blocks of a format, so that a matrix of them can be kept in it. */
export function fitsFormat(format: WeightFormatName, rowLength: number): boolean {
  return rowLength % weightFormats[format].block === 0;
}

/**
 * Makes sure that an operand is made of numbers and not of a format's blocks: what every kernel asks of every operand but
 * the few that say otherwise.
 *
 * @throws {UnsupportedError} when it is not.
 */
export function refuseWeightFormat({ dtype }: Storage): void {
  if (!isWeightFormat(dtype)) return;
  throw new UnsupportedError(
    `tensor: it holds weights as ${dtype}, which matrix products and gathers read and nothing else does; load the model ` +
      "as float32 for this",
  );
}

/**
 * Makes sure that what is read of a storage are whole blocks.
 *
 * @throws {ShapeError} when they are not.
 */
export function refusePartOfBlock(dtype: Dtype, offset: number, length: number): void {
  const { block } = isWeightFormat(dtype) ? weightFormats[dtype] : { block: 1 };
  if (offset % block === 0 && length % block === 0) return;
  throw new ShapeError(`tensor: ${length} elements from ${offset} on are no whole blocks of ${dtype} (${block} each)`);
}

/**
 * Makes sure that memory is written from an array of its own kind.
 *
 * @throws {ShapeError} when it is not, or from parts of blocks.
 */
export function refuseOtherArray(dtype: Dtype, values: Float32Array | Int32Array | Uint8Array): void {
  const kind = dtype === "float32" ? Float32Array : dtype === "int32" ? Int32Array : Uint8Array;
  const { bytes } = isWeightFormat(dtype) ? weightFormats[dtype] : { bytes: 1 };
  if (values instanceof kind && values.length % bytes === 0) return;
  throw new ShapeError(
    `tensor: ${dtype} memory cannot be written from ${values.length} elements of ${values.constructor.name}`,
  );
}

function pairsOf(raw: Uint8Array): Uint16Array {
  return new Uint16Array(raw.buffer, raw.byteOffset, raw.byteLength / 2);
}
