import { CheckpointError } from "../core/errors.ts";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "../core/float-formats.ts";
import { pieceBytes } from "./byte-source.ts";
import type { WritableDtype } from "./tensor-source.ts";

// The file formats are little-endian, and so is every machine Node is built for that Stemma supports: typed arrays over
// a file's bytes are its numbers.

/** Turns the raw bytes of elements into float32. `raw` starts at a multiple of 8 bytes. */
export type FloatDecoder = (raw: Uint8Array, to: Float32Array) => void;

/** How float dtypes are read, by their name, which safetensors and ggml share. */
export const floatDecoders: ReadonlyMap<string, FloatDecoder> = new Map<string, FloatDecoder>([
  ["F32", (raw, to) => to.set(new Float32Array(raw.buffer, raw.byteOffset, to.length))],
  ["F64", (raw, to) => to.set(new Float64Array(raw.buffer, raw.byteOffset, to.length))],
  ["F16", (raw, to) => fromFloat16(new Uint16Array(raw.buffer, raw.byteOffset, to.length), to)],
  ["BF16", (raw, to) => fromBfloat16(new Uint16Array(raw.buffer, raw.byteOffset, to.length), to)],
]);

type IntegerArray = ArrayLike<number> | ArrayLike<bigint>;

/** Sees raw bytes as integers. `raw` starts at a multiple of 8 bytes. */
export type IntegerView = (raw: Uint8Array, length: number) => IntegerArray;

/** How integer and boolean dtypes are read, by their name, which safetensors and ggml share. */
export const integerViews: ReadonlyMap<string, IntegerView> = new Map<string, IntegerView>([
  ["I64", (raw, length) => new BigInt64Array(raw.buffer, raw.byteOffset, length)],
  ["U64", (raw, length) => new BigUint64Array(raw.buffer, raw.byteOffset, length)],
  ["I32", (raw, length) => new Int32Array(raw.buffer, raw.byteOffset, length)],
  ["U32", (raw, length) => new Uint32Array(raw.buffer, raw.byteOffset, length)],
  ["I16", (raw, length) => new Int16Array(raw.buffer, raw.byteOffset, length)],
  ["U16", (raw, length) => new Uint16Array(raw.buffer, raw.byteOffset, length)],
  ["I8", (raw, length) => new Int8Array(raw.buffer, raw.byteOffset, length)],
  ["U8", (raw, length) => new Uint8Array(raw.buffer, raw.byteOffset, length)],
  ["BOOL", (raw, length) => new Uint8Array(raw.buffer, raw.byteOffset, length)],
]);

/**
 * Copies integers of any width into 32 bits.
 *
 * @throws {CheckpointError} naming `where` when a value does not fit.
 */
export function narrowIntegers(where: string, from: IntegerArray, to: Int32Array): void {
  for (let i = 0; i < from.length; i++) {
    const value = Number(from[i]);
    if (value !== (value | 0)) {
      throw new CheckpointError(`${where}: value ${from[i]} does not fit a 32-bit integer; it cannot be read here`);
    }
    to[i] = value;
  }
}

/**
 * The bytes of a tensor, in pieces that share memory with `values` or with each other.
 *
 * @throws {CheckpointError} naming `where` when a finite value is too large for F16, or the array is of another kind
 * than the dtype.
 */
export function* encodeElements(
  where: string,
  values: Float32Array | Int32Array,
  dtype: WritableDtype,
): Generator<Uint8Array> {
  const isInteger = !floatDecoders.has(dtype);
  if (isInteger !== values instanceof Int32Array) {
    throw new CheckpointError(`${where}: a ${values.constructor.name} cannot be written as ${dtype}`);
  }
  if (dtype === "F32" || dtype === "I32") {
    yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return;
  }
  const scratch = new Uint8Array(pieceBytes);
  const bytesEach = bytesOfWritten[dtype];
  const step = pieceBytes / bytesEach;
  for (let at = 0; at < values.length; at += step) {
    const part = values.subarray(at, at + step);
    encodeInto(where, part, dtype, scratch.buffer);
    yield scratch.subarray(0, part.length * bytesEach);
  }
}

const bytesOfWritten: Readonly<Record<WritableDtype, number>> = {
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  U8: 1,
  BOOL: 1,
};

function encodeInto(where: string, part: Float32Array | Int32Array, dtype: WritableDtype, out: ArrayBuffer): void {
  if (part instanceof Int32Array) {
    if (dtype === "I64") new BigInt64Array(out).set(Array.from(part, BigInt));
    else new Uint8Array(out).set(checkedBytes(where, part));
  } else if (dtype === "BF16") {
    toBfloat16(part, new Uint16Array(out));
  } else if (toFloat16(part, new Uint16Array(out)) > 0) {
    const value = part.find((x) => Math.abs(x) >= 65520 && Number.isFinite(x));
    throw new CheckpointError(`${where}: ${value} is too large for float16 (65504); write bfloat16 or float32`);
  }
}

function checkedBytes(where: string, values: Int32Array): Int32Array {
  const wrong = values.find((value) => value < 0 || value > 255);
  if (wrong !== undefined) throw new CheckpointError(`${where}: ${wrong} does not fit a byte; write I32`);
  return values;
}
