import type { WeightFormatName } from "../backend/storage.ts";
import { firstNotFinite, formatOfFileType, isWeightFormat, weightFormats } from "../backend/weight-formats.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Placement } from "./assign-tensors.ts";
import type { TensorInfo, TensorSource } from "./tensor-source.ts";

/** How numbers lie in a file that are read as they lie. */
export type RawFormat = "float32" | WeightFormatName;

/** Where a file has a value that is no finite number. */
export interface Fault {
  readonly at: number;
  readonly value: number;
}

/**
 * The format of a tensor whose bytes a file has in the order of ours, so that it can be loaded a piece at a time; null
 * where only its numbers can be asked for: transposed, changed, or of a type that memory does not have.
 */
export function rawFormat(
  { transposed = false, filters = false, shift = 0 }: Pick<Placement, "transposed" | "filters" | "shift">,
  info: TensorInfo,
): RawFormat | null {
  if (filters || shift !== 0 || info.rawDiffers !== (transposed ? "transposed" : undefined)) return null;
  return info.dtype === "F32" ? "float32" : (formatOfFileType[info.dtype] ?? null);
}

/**
 * Fills a tensor from the bytes of a file: copied where the format is its own, decoded by the backend where it is float32,
 * and rounded anew otherwise. Nothing as large as the tensor is held besides it, unless rows are in another order.
 *
 * @throws what `fail` returns, when a value is no finite number; float32 tensors are left for the backend to look at.
 */
export async function loadRaw(
  { name, tensor, rows }: Placement,
  { source, inFile, format }: { readonly source: TensorSource; readonly inFile: string; readonly format: RawFormat },
  fail: (fault: Fault) => Error,
): Promise<void> {
  let at = 0;
  const take = async (raw: Uint8Array): Promise<void> => {
    const count = numbersIn(format, raw);
    const fault = tensor.dtype === "float32" ? null : faultIn(format, raw);
    if (fault) throw fail({ ...fault, at: at + fault.at });
    const part = tensor.window(at, [count]);
    if (isWeightFormat(format) && tensor.dtype === "float32") decodeInto(part, format, raw);
    else if (tensor.dtype === format) part.write(format === "float32" ? floatsOf(raw) : raw);
    else part.write(encoded(name, tensor.dtype as WeightFormatName, await decoded(part, format, raw)));
    at += count;
  };
  if (rows) await take(reorderedRows(await readWhole(source, inFile), rows));
  else await source.readRaw(inFile, take);
}

/** All bytes of a tensor. */
export async function readWhole(source: Pick<TensorSource, "readRaw">, inFile: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  await source.readRaw(inFile, (piece) => {
    pieces.push(piece.slice());
  });
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const piece of pieces) {
    whole.set(piece, end);
    end += piece.length;
  }
  return whole;
}

/** Row i is row `rows[i]` of what is given. */
export function reorderedRows(raw: Uint8Array, rows: Int32Array): Uint8Array {
  const width = raw.length / rows.length;
  const out = new Uint8Array(raw.length);
  rows.forEach((from, to) => {
    out.set(raw.subarray(from * width, (from + 1) * width), to * width);
  });
  return out;
}

function numbersIn(format: RawFormat, raw: Uint8Array): number {
  const { block, bytes } = format === "float32" ? { block: 1, bytes: 4 } : weightFormats[format];
  return (raw.length / bytes) * block;
}

/** The numbers of whole blocks. The first begins where a float32 may. */
export function numbersOf(format: RawFormat, raw: Uint8Array): Float32Array {
  if (format === "float32") return floatsOf(raw);
  const values = new Float32Array(numbersIn(format, raw));
  weightFormats[format].decode(raw, values);
  return values;
}

function floatsOf(raw: Uint8Array): Float32Array {
  return new Float32Array(raw.buffer, raw.byteOffset, raw.length / 4);
}

function encoded(where: string, format: WeightFormatName, values: Float32Array): Uint8Array {
  const { block, bytes, encode } = weightFormats[format];
  const raw = new Uint8Array((values.length / block) * bytes);
  encode(where, values, raw);
  return raw;
}

async function decoded(like: Tensor, format: RawFormat, raw: Uint8Array): Promise<Float32Array> {
  if (format === "float32") return floatsOf(raw);
  const values = like.blank(like.shape);
  decodeInto(values, format, raw);
  const floats = await values.floats();
  values.release();
  return floats;
}

/** The backend decodes faster than JavaScript does. */
function decodeInto(part: Tensor, format: WeightFormatName, raw: Uint8Array): void {
  const blocks = Tensor.empty(part.backend, part.shape, format);
  blocks.write(raw);
  part.backend.kernels.decode(blocks, part);
  blocks.release();
}

/** The first value of a piece that is no finite number, or null. */
function faultIn(format: RawFormat, raw: Uint8Array): Fault | null {
  const start = format === "float32" ? 0 : firstNotFinite(format, raw);
  if (start < 0) return null;
  const { block, bytes } = format === "float32" ? { block: 1, bytes: 4 } : weightFormats[format];
  const from = (start / block) * bytes;
  const values = numbersOf(format, format === "float32" ? raw : raw.slice(from, from + bytes));
  const within = values.findIndex((value) => !Number.isFinite(value));
  return within < 0 ? null : { at: start + within, value: values[within] ?? Number.NaN };
}
