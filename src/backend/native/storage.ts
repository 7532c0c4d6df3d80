import { StemmaError } from "../../core/errors.ts";
import { outOfMemory } from "../demand-memory.ts";
import type { Backend, Dtype, Storage, View } from "../kernels.ts";
import type { WeightFormatName } from "../weight-formats.ts";
import { isWeightFormat, refuseOtherArray, refuseWeightFormat, storedBytes, weightFormats } from "../weight-formats.ts";
import type { NativeFunctions } from "./addon.ts";
import type { Recorder } from "./recorder.ts";

/** Numbers of `enum class WeightFormat` in native/runtime/weight-format.h; 0 is float32, and int32. */
const formatNumber: Readonly<Record<WeightFormatName, number>> = {
  ...{ bfloat16: 1, float16: 2, q8_0: 3, q4_0: 4, q4_1: 5, q5_0: 6, q5_1: 7, q4_k: 8, q5_k: 9, q6_k: 10 },
};

/** Names a stretch of the addon's memory. */
export class NativeStorage implements Storage {
  readonly dtype: Dtype;
  readonly length: number;
  /** The addon knows it as live until it is released, and refuses it ever after. */
  readonly handle: number;

  constructor(dtype: Dtype, length: number, handle: number) {
    this.dtype = dtype;
    this.length = length;
    this.handle = handle;
  }
}

/**
 * The handle of a view's storage, of numbers.
 *
 * @throws {UnsupportedError} when it holds weights in a format of theirs.
 */
export function handleOf(view: View): number {
  refuseWeightFormat(view.storage);
  return weightHandleOf(view);
}

/** The handle of a view's storage, whatever it holds: for operands that may be weights in any format. */
export function weightHandleOf({ storage }: View): number {
  if (storage instanceof NativeStorage) return storage.handle;
  throw new StemmaError("tensor: it lives on another backend; create all operands of an operation on the same one");
}

/**
 * The handle of keys, values, or the table that they are put into: of numbers, which may be rounded to bfloat16.
 *
 * @throws {UnsupportedError} when it holds weights in another format.
 */
export function roundedHandleOf(view: View): number {
  return view.storage.dtype === "bfloat16" ? weightHandleOf(view) : handleOf(view);
}

/** The handle of a view that may be absent: −1 then. */
export function handleOrNone(view: View | null | undefined): number {
  return view ? handleOf(view) : -1;
}

/** The offset of a view that may be absent: 0 then. */
export function offsetOrZero(view: View | null | undefined): number {
  return view ? view.offset : 0;
}

/** Allocation and copies. */
export function memoryFunctions(
  recorder: Recorder,
): Pick<Backend, "allocate" | "release" | "finalizer" | "write" | "read" | "passes"> {
  const { native } = recorder;
  return {
    allocate(dtype, length) {
      const bytes = storedBytes(dtype, length);
      const handle =
        recorder.reuse(dtype, length) ?? native.allocate(length, isWeightFormat(dtype) ? formatNumber[dtype] : 0);
      if (handle < 0) throw outOfMemory(bytes);
      const storage = new NativeStorage(dtype, length, handle);
      recorder.made(storage);
      return storage;
    },
    release(storage) {
      if (!recorder.keeps(storage as NativeStorage)) native.release((storage as NativeStorage).handle);
    },
    passes: {
      capture: (body) => recorder.capture(body),
      write: (storage, offset, values, renew) => recorder.write(storage as NativeStorage, offset, values, renew),
    },
    finalizer(storage) {
      const { handle } = storage as NativeStorage;
      return () => native.release(handle);
    },
    write(storage, offset, values) {
      refuseOtherArray(storage.dtype, values);
      native.write((storage as NativeStorage).handle, offset, values);
    },
    async read(storage, offset, length) {
      const { dtype } = storage;
      if (isWeightFormat(dtype)) return decoded(native, storage as NativeStorage, dtype, offset, length);
      const values = dtype === "int32" ? new Int32Array(length) : new Float32Array(length);
      native.read((storage as NativeStorage).handle, offset, values);
      return values;
    },
  };
}

function decoded(
  native: NativeFunctions,
  { handle }: NativeStorage,
  format: WeightFormatName,
  offset: number,
  length: number,
): Float32Array {
  const raw = new Uint8Array(storedBytes(format, length));
  native.read(handle, offset, raw);
  const values = new Float32Array(length);
  weightFormats[format].decode(raw, values);
  return values;
}
