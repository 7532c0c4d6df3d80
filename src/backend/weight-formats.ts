import {
  dequantizeQ4,
  dequantizeQ8,
  dequantizeQ41,
  dequantizeQ50,
  dequantizeQ51,
  q4BlockBytes,
  q8BlockBytes,
  quantizationBlock,
  quantizeQ4,
  quantizeQ8,
  quantizeQ41,
  quantizeQ50,
  quantizeQ51,
} from "../core/block-quantization.ts";
import { CheckpointError, ShapeError, UnsupportedError } from "../core/errors.ts";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "../core/float-formats.ts";
import { dequantizeQ4K, dequantizeQ5K, dequantizeQ6K, superBlock } from "../core/k-decoding.ts";
import { quantizeQ4K, quantizeQ5K, quantizeQ6K } from "../core/k-encoding.ts";
import type { Dtype, Storage, WeightFormatName } from "./storage.ts";

/** How numbers lie in a format. A block is the least that can be read: offsets and lengths are multiples of it. */
export interface WeightFormat {
  /** Numbers in a block. */
  readonly block: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /** Bytes of a block where two begin that are no number only if they make one: its float16 scales, or the number itself. */
  readonly scales: readonly number[];
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
    ...{ block: 1, bytes: 2, scales: [0] },
    decode: (raw, to) => fromBfloat16(pairsOf(raw), to),
    encode(where, values, to) {
      const bad = values.find((value) => !Number.isFinite(value));
      if (bad !== undefined) throw new CheckpointError(`${where}: ${bad} is no number that a model computes with`);
      toBfloat16(values, pairsOf(to));
    },
  },
  float16: {
    ...{ block: 1, bytes: 2, scales: [0] },
    decode: (raw, to) => fromFloat16(pairsOf(raw), to),
    encode(where, values, to) {
      const bad = values.find((value) => !(Math.abs(value) < 65520));
      if (bad !== undefined)
        throw new CheckpointError(`${where}: ${bad} is too large for float16 (65504), or no number`);
      toFloat16(values, pairsOf(to));
    },
  },
  q8_0: { block: quantizationBlock, bytes: q8BlockBytes, scales: [0], decode: dequantizeQ8, encode: quantizeQ8 },
  q4_0: { block: quantizationBlock, bytes: q4BlockBytes, scales: [0], decode: dequantizeQ4, encode: quantizeQ4 },
  q4_1: { block: quantizationBlock, bytes: 20, scales: [0, 2], decode: dequantizeQ41, encode: quantizeQ41 },
  q5_0: { block: quantizationBlock, bytes: 22, scales: [0], decode: dequantizeQ50, encode: quantizeQ50 },
  q5_1: { block: quantizationBlock, bytes: 24, scales: [0, 2], decode: dequantizeQ51, encode: quantizeQ51 },
  q4_k: { block: superBlock, bytes: 144, scales: [0, 2], decode: dequantizeQ4K, encode: quantizeQ4K },
  q5_k: { block: superBlock, bytes: 176, scales: [0, 2], decode: dequantizeQ5K, encode: quantizeQ5K },
  q6_k: { block: superBlock, bytes: 210, scales: [208], decode: dequantizeQ6K, encode: quantizeQ6K },
};

/** What dtypes of safetensors and GGUF files are in memory, where memory has them too. */
export const formatOfFileType: Readonly<Record<string, WeightFormatName>> = {
  ...{ BF16: "bfloat16", F16: "float16", Q8_0: "q8_0", Q4_0: "q4_0", Q4_1: "q4_1", Q5_0: "q5_0", Q5_1: "q5_1" },
  ...{ Q4_K: "q4_k", Q5_K: "q5_k", Q6_K: "q6_k" },
};

/** The first number of whole blocks that may be NaN or infinite, by its scale; −1 where all are finite. */
export function firstNotFinite(format: WeightFormatName, raw: Uint8Array): number {
  const { block, bytes, scales } = weightFormats[format];
  const infinite = format === "bfloat16" ? 0x7f80 : 0x7c00;
  const halves = new Uint16Array(raw.buffer, raw.byteOffset, raw.byteLength >>> 1);
  for (const place of scales) {
    for (let at = place >>> 1; at < halves.length; at += bytes >>> 1) {
      if (((halves[at] as number) & infinite) === infinite) return Math.floor((2 * at) / bytes) * block;
    }
  }
  return -1;
}

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
