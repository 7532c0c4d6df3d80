import { ShapeError, StemmaError } from "../../core/errors.ts";
import { elementCount } from "../../core/shape.ts";
import { outOfMemory } from "../demand-memory.ts";
import type { Dtype, Storage, View } from "../kernels.ts";

/** Numbers being computed with: float32, or float64 on the exact reference. */
export type Floats = Float32Array | Float64Array;

/** How exactly the reference keeps what the contract calls float32. */
export type Precision = "float32" | "float64";

/** A typed array that can be given back: whoever touches it afterwards is told so instead of reading other numbers. */
export class ReferenceStorage implements Storage {
  readonly dtype: Dtype;
  readonly length: number;
  #values: Floats | Int32Array | null;

  constructor(dtype: Dtype, length: number, precision: Precision) {
    this.dtype = dtype;
    this.length = length;
    this.#values = numbersOf(dtype, length, precision);
  }

  get values(): Floats | Int32Array {
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

function numbersOf(dtype: Dtype, length: number, precision: Precision): Floats | Int32Array {
  try {
    if (dtype === "int32") return new Int32Array(length);
    return precision === "float64" ? new Float64Array(length) : new Float32Array(length);
  } catch (error) {
    if (error instanceof RangeError) throw outOfMemory((precision === "float64" ? 8 : 4) * length, error);
    throw error;
  }
}

/** The typed array behind any storage of this backend. */
export function valuesOf(storage: Storage): Floats | Int32Array {
  if (storage instanceof ReferenceStorage) return storage.values;
  throw new StemmaError("tensor: it lives on another backend; create all operands of an operation on the same one");
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
