import type { Shape } from "../core/shape.ts";

/** Formats in which weights may lie in memory instead of float32: smaller, and for reading only. */
export type WeightFormatName =
  | "bfloat16"
  | "float16"
  | "q8_0"
  | "q4_0"
  | "q4_1"
  | "q5_0"
  | "q5_1"
  | "q4_k"
  | "q5_k"
  | "q6_k";

/**
 * Element types a kernel sees. Ids, targets and lengths are int32; everything computed is float32. The others hold frozen
 * weights as they lie in files. They may be `b` of a product, the table of `gatherRows`, the weight of a grouped product
 * and what `decode` reads; any other operand of theirs is an UnsupportedError. Of bfloat16 may also be the table of
 * `setRows`, and the keys and values of attention without its gradient.
 */
export type Dtype = "float32" | "int32" | WeightFormatName;

/** Memory owned by a backend. Opaque: only the backend that made it can look inside. */
export interface Storage {
  readonly dtype: Dtype;
  /** Number of elements. */
  readonly length: number;
}

/** Dense row-major numbers as a kernel sees them: a stretch of a storage with a shape. */
export interface View {
  readonly storage: Storage;
  /** First element, counted in elements from the start of the storage; a multiple of the block of a weight format. */
  readonly offset: number;
  readonly shape: Shape;
}
