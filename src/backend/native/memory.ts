import { outOfMemory } from "../demand-memory.ts";
import type { Backend } from "../kernels.ts";
import type { WeightFormatName } from "../storage.ts";
import { isWeightFormat, refuseOtherArray, storedBytes, weightFormats } from "../weight-formats.ts";
import type { NativeFunctions } from "./addon.ts";
import type { Recorder } from "./recorder.ts";
import { NativeStorage } from "./storage.ts";

/** Numbers of `enum class WeightFormat` in native/runtime/weight-format.h; 0 is float32, and int32. */
const formatNumber: Readonly<Record<WeightFormatName, number>> = {
  ...{ bfloat16: 1, float16: 2, q8_0: 3, q4_0: 4, q4_1: 5, q5_0: 6, q5_1: 7, q4_k: 8, q5_k: 9, q6_k: 10 },
};

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
