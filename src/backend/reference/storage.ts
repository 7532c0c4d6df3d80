import { ShapeError, StemmaError } from "../../core/errors.ts";
import { float16Value } from "../../core/float-formats.ts";
import { elementCount } from "../../core/shape.ts";
import { outOfMemory } from "../demand-memory.ts";
import type { Dtype, Storage, View } from "../storage.ts";
import {
  isWeightFormat,
  refusePartOfBlock,
  refuseWeightFormat,
  storedBytes,
  weightFormats,
} from "../weight-formats.ts";

/** Numbers being computed with: float32, or float64 on the exact reference. */
export type Floats = Float32Array | Float64Array;

/** How exactly the reference keeps what the contract calls float32. */
export type Precision = "float32" | "float64";

/** A typed array that can be given back: whoever touches it afterwards is told so instead of reading other numbers. */
export class ReferenceStorage implements Storage {
  readonly dtype: Dtype;
  readonly length: number;
  #values: Floats | Int32Array | Uint8Array | null;

  constructor(dtype: Dtype, length: number, precision: Precision) {
    this.dtype = dtype;
    this.length = length;
    this.#values = numbersOf(dtype, length, precision);
  }

  get values(): Floats | Int32Array | Uint8Array {
    if (this.#values) return this.#values;
    throw new StemmaError(
      `tensor: its memory (${this.length} × ${this.dtype}) was given back, by the end of its scope, by backward passing ` +
        "it, or by release(); return it from the scope, or call keep() on it, to use it afterwards",
    );
  }

  release(): void {
    this.#values = null;
  }
}

function numbersOf(dtype: Dtype, length: number, precision: Precision): Floats | Int32Array | Uint8Array {
  try {
    if (dtype === "int32") return new Int32Array(length);
    if (isWeightFormat(dtype)) return new Uint8Array(storedBytes(dtype, length));
    return precision === "float64" ? new Float64Array(length) : new Float32Array(length);
  } catch (error) {
    if (error instanceof RangeError) {
      throw outOfMemory(
        precision === "float64" && dtype === "float32" ? 8 * length : storedBytes(dtype, length),
        error,
      );
    }
    throw error;
  }
}

/** The typed array behind a storage of this backend: numbers, or the blocks of a weight format. */
export function contentsOf(storage: Storage): Floats | Int32Array | Uint8Array {
  if (storage instanceof ReferenceStorage) return storage.values;
  throw new StemmaError("tensor: it lives on another backend; create all operands of an operation on the same one");
}

/**
 * The numbers of a storage.
 *
 * @throws {UnsupportedError} when it holds weights in a format of theirs.
 */
export function valuesOf(storage: Storage): Floats | Int32Array {
  refuseWeightFormat(storage);
  return contentsOf(storage) as Floats | Int32Array;
}

/** `length` numbers of a storage from element `offset` on: shared where they are float32, decoded where they are weights. */
export function weightsOf(storage: Storage, offset: number, length: number): Floats {
  const { dtype } = storage;
  if (!isWeightFormat(dtype)) return (valuesOf(storage) as Floats).subarray(offset, offset + length);
  refusePartOfBlock(dtype, offset, length);
  const raw = contentsOf(storage) as Uint8Array;
  const decoded = new Float32Array(length);
  weightFormats[dtype].decode(raw.subarray(storedBytes(dtype, offset), storedBytes(dtype, offset + length)), decoded);
  return decoded;
}

/** The minima of a format's blocks that have one, the second number of each, of `length` weights from element `offset` on. */
export function minimaOf(storage: Storage, offset: number, length: number): Float64Array {
  const raw = contentsOf(storage) as Uint8Array;
  const [first, end] = [storedBytes(storage.dtype, offset), storedBytes(storage.dtype, offset + length)];
  const blocks = isWeightFormat(storage.dtype) ? length / weightFormats[storage.dtype].block : 0;
  const minima = new Float64Array(blocks);
  for (let i = 0; i < blocks; i++) {
    const at = first + (i * (end - first)) / blocks + 2;
    minima[i] = float16Value(raw[at]! | (raw[at + 1]! << 8));
  }
  return minima;
}

/** The numbers of a float32 view, sharing its memory. */
export function floats(view: View): Floats {
  const values = valuesOf(view.storage);
  if (values instanceof Int32Array) throw new ShapeError("tensor: needs float32 values, got int32 ones");
  return values.subarray(view.offset, view.offset + elementCount(view.shape));
}

/** The numbers of an int32 view, sharing its memory. */
export function integers(view: View): Int32Array {
  const values = valuesOf(view.storage);
  if (!(values instanceof Int32Array)) throw new ShapeError("tensor: needs int32 values, got float32 ones");
  return values.subarray(view.offset, view.offset + elementCount(view.shape));
}

/** Length of the last axis, and the number of rows of that length. */
export function rowsOf(view: View): [rows: number, width: number] {
  return [elementCount(view.shape.slice(0, -1)), view.shape.at(-1) ?? 1];
}
