import { StemmaError, UnsupportedError } from "../../core/errors.ts";
import { outOfMemory } from "../demand-memory.ts";
import type { Backend, Dtype, Storage, View } from "../kernels.ts";
import type { NativeFunctions } from "./addon.ts";

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

/** The handle of a view's storage. */
export function handleOf({ storage }: View): number {
  if (storage instanceof NativeStorage) return storage.handle;
  throw new StemmaError("tensor: it lives on another backend; create all operands of an operation on the same one");
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
  native: NativeFunctions,
): Pick<Backend, "allocate" | "release" | "finalizer" | "write" | "read"> {
  return {
    allocate(dtype, length) {
      const handle = native.allocate(length);
      if (handle < 0) throw outOfMemory(4 * length);
      return new NativeStorage(dtype, length, handle);
    },
    release: (storage) => native.release((storage as NativeStorage).handle),
    finalizer(storage) {
      const { handle } = storage as NativeStorage;
      return () => native.release(handle);
    },
    write(storage, offset, values) {
      const isInteger = values instanceof Int32Array;
      if (isInteger !== (storage.dtype === "int32")) {
        throw new UnsupportedError(`write: ${values.constructor.name} values do not fit a ${storage.dtype} storage`);
      }
      native.write((storage as NativeStorage).handle, offset, values);
    },
    async read(storage, offset, length) {
      const values = storage.dtype === "int32" ? new Int32Array(length) : new Float32Array(length);
      native.read((storage as NativeStorage).handle, offset, values);
      return values;
    },
  };
}
