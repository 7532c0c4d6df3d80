import type { Storage } from "./storage.ts";

/** Integers for the same place in a later pass; null when that pass has to run other kernels. */
export type Renewal = () => Int32Array | null;

/** A pass that can be made again, on the same memory and with other integers. */
export interface CapturedPass {
  /** Makes it again. False, with nothing done, when some of its integers can't be renewed. */
  replay(): boolean;
  /** Gives back the memory that it needed on the way; what the pass left is its caller's. */
  release(): void;
}

/** Passes that are made again and again, such as decoding a token, without the work of finding out what they compute. */
export interface PassCapture {
  /**
   * Makes a pass, and gives it for being made again: the same kernels on the same memory. Null when it depends on more
   * than what {@link write} gives it, having written numbers or read some.
   */
  capture(body: () => void): CapturedPass | null;
  /** `Backend.write` of integers that are others in each pass. */
  write(storage: Storage, offset: number, values: Int32Array, renew: Renewal): void;
}
