import { quantizeQ4, quantizeQ8, quantizeQ50, quantizeQ51 } from "../core/block-quantization.ts";
import { CheckpointError } from "../core/errors.ts";
import { quantizeQ4K, quantizeQ5K, quantizeQ6K } from "../core/k-encoding.ts";
import { elementCount, formatShape } from "../core/shape.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { encodeElements } from "./element-encoding.ts";
import { alignUp, ggmlBytes, magic, maxAxes, maxNameBytes, parseAlignment } from "./gguf-header.ts";
import type { GgufArray, GgufNumberType, GgufType, GgufValue } from "./gguf-values.ts";
import { ggmlTypes, isNumberType, numberArrays, valueTypes } from "./gguf-values.ts";
import type { FloatDtype, WritableTensor } from "./tensor-source.ts";

/** Tensor types that can be written. */
export type GgufDtype = FloatDtype | keyof typeof quantizers;

/** How blocks are written. */
const quantizers = {
  ...{ Q8_0: quantizeQ8, Q4_0: quantizeQ4, Q5_0: quantizeQ50, Q5_1: quantizeQ51 },
  ...{ Q4_K: quantizeQ4K, Q5_K: quantizeQ5K, Q6_K: quantizeQ6K },
} as const;

/** A tensor to be written; the rows of a quantized one are whole blocks. */
export interface GgufTensor extends Omit<WritableTensor, "dtype"> {
  readonly dtype: GgufDtype;
}

/** What a GGUF file is made from. */
export interface GgufContents {
  /** Written in this order. `general.alignment` is obeyed. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Written in this order, one at a time. */
  readonly tensors: readonly GgufTensor[];
}

/**
 * Writes a GGUF file of version 3, atomically, holding one tensor at a time.
 *
 * @throws {FileError} when the disk is full.
 * @throws {CheckpointError} when a name or a key is impossible, a value does not fit its type, a quantized tensor's rows
 * are not whole blocks, or values do not fit their shape.
 */
export async function writeGguf(path: string, contents: GgufContents): Promise<void> {
  await writeFileAtomic(path, ggufChunks(path, contents));
}

/** The bytes of a GGUF file, piece by piece. Pieces share memory: use each before asking for the next. */
export async function* ggufChunks(where: string, { metadata, tensors }: GgufContents): AsyncGenerator<Uint8Array> {
  const alignment = parseAlignment(metadata, (fault) => new CheckpointError(`${where}: ${fault}`));
  const header = formatGgufHeader(where, { metadata, tensors }, alignment);
  yield header;
  yield new Uint8Array(alignUp(header.length, alignment) - header.length);
  for (const tensor of tensors) {
    const place = `${where}: ${tensor.name}`;
    const values = await tensor.read();
    if (values.length !== elementCount(tensor.shape)) {
      throw new CheckpointError(`${place}: ${values.length} values do not fill ${formatShape(tensor.shape)}`);
    }
    yield* encode(place, values, tensor.dtype);
    const length = sizeOf(where, tensor);
    yield new Uint8Array(alignUp(length, alignment) - length);
  }
}

function* encode(place: string, values: Float32Array | Int32Array, dtype: GgufDtype): Generator<Uint8Array> {
  if (!isQuantized(dtype)) return yield* encodeElements(place, values, dtype);
  if (values instanceof Int32Array) throw new CheckpointError(`${place}: integers cannot be written as ${dtype}`);
  const { block, bytes } = ggmlTypes[dtype];
  const atOnce = 1 << 18;
  const scratch = new Uint8Array((atOnce / block) * bytes);
  for (let at = 0; at < values.length; at += atOnce) {
    const part = values.subarray(at, at + atOnce);
    const out = scratch.subarray(0, (part.length / block) * bytes);
    quantizers[dtype](place, part, out);
    yield out;
  }
}

function isQuantized(dtype: GgufDtype): dtype is keyof typeof quantizers {
  return Object.hasOwn(quantizers, dtype);
}

function formatGgufHeader(where: string, { metadata, tensors }: GgufContents, alignment: number): Uint8Array {
  const parts: Uint8Array[] = [
    numbers("uint32", [magic, 3]),
    numbers("uint64", [BigInt(tensors.length), BigInt(metadata.size)]),
  ];
  for (const [key, value] of metadata) {
    if (key === "" || Buffer.byteLength(key) > 65535) {
      throw new CheckpointError(`${where}: the key "${key}" is impossible`);
    }
    parts.push(text(key), typeId(value.type), encodeValue(`${where}: ${key}`, value));
  }
  const names = new Set<string>();
  let offset = 0;
  for (const tensor of tensors) {
    if (names.has(tensor.name)) throw new CheckpointError(`${where}: ${tensor.name}: two tensors have this name`);
    names.add(tensor.name);
    const axes = tensor.shape.toReversed().map(BigInt);
    const type = numbers("uint32", [ggmlTypes[tensor.dtype].id]);
    parts.push(text(tensor.name), numbers("uint32", [axes.length]), numbers("uint64", axes), type);
    parts.push(numbers("uint64", [BigInt(offset)]));
    offset = alignUp(offset + sizeOf(where, tensor), alignment);
  }
  return Buffer.concat(parts);
}

/** Bytes of a tensor's data, having checked that readers will accept it. */
function sizeOf(where: string, { name, shape, dtype }: GgufTensor): number {
  const fail = (fault: string) => new CheckpointError(`${where}: ${name}: ${fault}`);
  if (Buffer.byteLength(name) >= maxNameBytes) throw fail(`the name must be shorter than ${maxNameBytes} bytes`);
  if (shape.length > maxAxes) throw fail(`${formatShape(shape)} has more than ${maxAxes} axes`);
  const bytes = ggmlBytes(dtype, shape);
  if (bytes !== null) return bytes;
  const { block } = ggmlTypes[dtype];
  throw fail(`${formatShape(shape)} cannot be ${dtype}: its rows must be multiples of ${block} long; use F16 for it`);
}

function encodeValue(where: string, value: GgufValue): Uint8Array {
  if (value.type === "array") return encodeArray(where, value);
  return encodeElementsOf(where, value.type, [value.value]);
}

function encodeArray(where: string, { elementType, values }: GgufArray): Uint8Array {
  const length = numbers("uint64", [BigInt(values.length)]);
  return Buffer.concat([typeId(elementType), length, encodeElementsOf(where, elementType, values)]);
}

function encodeElementsOf(where: string, type: GgufType, values: ArrayLike<unknown>): Uint8Array {
  if (isNumberType(type)) return checkedNumbers(where, type, values);
  const parts = Array.from(values, (value) => {
    if (type === "string" && typeof value === "string") return text(value);
    if (type === "bool" && typeof value === "boolean") return numbers("uint8", [value ? 1 : 0]);
    if (type === "array" && isArrayValue(value)) return encodeArray(where, value);
    throw new CheckpointError(`${where}: ${String(value)} is not a ${type}`);
  });
  return Buffer.concat(parts);
}

/** Numbers as bytes, having checked that each survives: typed arrays would cut off what does not fit. */
function checkedNumbers(where: string, type: GgufNumberType, values: ArrayLike<unknown>): Uint8Array {
  const wide = type === "uint64" || type === "int64";
  const wrong = Array.from(values).find((value) => typeof value !== (wide ? "bigint" : "number"));
  if (wrong !== undefined) {
    throw new CheckpointError(`${where}: ${String(wrong)} is not a ${wide ? "bigint" : "number"}`);
  }
  const bytes = numbers(type, values as ArrayLike<number | bigint>);
  if (type === "float32" || type === "float64") return bytes;
  const stored = new numberArrays[type](bytes.slice().buffer);
  const bad = stored.findIndex((value, i) => value !== values[i]);
  if (bad >= 0) throw new CheckpointError(`${where}: ${String(values[bad])} does not fit ${type}`);
  return bytes;
}

function numbers(type: GgufNumberType, values: ArrayLike<number | bigint>): Uint8Array {
  const array = new numberArrays[type](values.length);
  // One call for both kinds: the caller has checked that bigints go to 64 bits and numbers elsewhere.
  (array as { set(values: ArrayLike<unknown>): void }).set(values);
  return new Uint8Array(array.buffer);
}

function text(value: string): Uint8Array {
  const bytes = Buffer.from(value);
  return Buffer.concat([numbers("uint64", [BigInt(bytes.length)]), bytes]);
}

function typeId(type: GgufType): Uint8Array {
  return numbers("uint32", [valueTypes.indexOf(type)]);
}

function isArrayValue(value: unknown): value is GgufArray {
  return typeof value === "object" && value !== null && "elementType" in value && "values" in value;
}
