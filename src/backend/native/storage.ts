import { StemmaError } from "../../core/errors.ts";
import type { Dtype, Storage, View } from "../storage.ts";
import { refuseWeightFormat } from "../weight-formats.ts";

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
