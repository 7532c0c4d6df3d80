/** Constructors whose elements have the layout of the format's numbers. */
export const numberArrays = {
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  uint64: BigUint64Array,
  int64: BigInt64Array,
  float64: Float64Array,
} as const;

/** Types of metadata values that are numbers. */
export type GgufNumberType = keyof typeof numberArrays;

/** Numbers as they are read. */
export type NumberArray = InstanceType<(typeof numberArrays)[GgufNumberType]>;

/** Types of metadata values. Their place in this list is the number that stands for them in the file. */
export const valueTypes = [
  "uint8",
  "int8",
  "uint16",
  "int16",
  "uint32",
  "int32",
  "float32",
  "bool",
  "string",
  "array",
  "uint64",
  "int64",
  "float64",
] as const;

/** Type of a metadata value. */
export type GgufType = (typeof valueTypes)[number];

/** A list of values of one type; lists nest. */
export interface GgufArray {
  readonly type: "array";
  readonly elementType: GgufType;
  /** Numbers are read as the typed array of their type; `bool` as booleans, `array` as further lists. */
  readonly values: ArrayLike<number> | ArrayLike<bigint> | readonly (string | boolean | GgufArray)[];
}

/** A metadata value with its type in the file. */
export type GgufValue =
  | { readonly type: Exclude<GgufNumberType, "uint64" | "int64">; readonly value: number }
  | { readonly type: "uint64" | "int64"; readonly value: bigint }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | GgufArray;

/** Whether a type is a number. */
export function isNumberType(type: GgufType): type is GgufNumberType {
  return Object.hasOwn(numberArrays, type);
}

/** One kind of tensor: `block` elements of a row take `bytes` bytes. */
export interface GgmlType {
  readonly id: number;
  readonly block: number;
  readonly bytes: number;
}

/** Every tensor type of ggml, by the name it has there. Only some can be read as numbers here. */
export const ggmlTypes = {
  F32: { id: 0, block: 1, bytes: 4 },
  F16: { id: 1, block: 1, bytes: 2 },
  Q4_0: { id: 2, block: 32, bytes: 18 },
  Q4_1: { id: 3, block: 32, bytes: 20 },
  Q5_0: { id: 6, block: 32, bytes: 22 },
  Q5_1: { id: 7, block: 32, bytes: 24 },
  Q8_0: { id: 8, block: 32, bytes: 34 },
  Q8_1: { id: 9, block: 32, bytes: 40 },
  Q2_K: { id: 10, block: 256, bytes: 84 },
  Q3_K: { id: 11, block: 256, bytes: 110 },
  Q4_K: { id: 12, block: 256, bytes: 144 },
  Q5_K: { id: 13, block: 256, bytes: 176 },
  Q6_K: { id: 14, block: 256, bytes: 210 },
  Q8_K: { id: 15, block: 256, bytes: 292 },
  IQ2_XXS: { id: 16, block: 256, bytes: 66 },
  IQ2_XS: { id: 17, block: 256, bytes: 74 },
  IQ3_XXS: { id: 18, block: 256, bytes: 98 },
  IQ1_S: { id: 19, block: 256, bytes: 50 },
  IQ4_NL: { id: 20, block: 32, bytes: 18 },
  IQ3_S: { id: 21, block: 256, bytes: 110 },
  IQ2_S: { id: 22, block: 256, bytes: 82 },
  IQ4_XS: { id: 23, block: 256, bytes: 136 },
  I8: { id: 24, block: 1, bytes: 1 },
  I16: { id: 25, block: 1, bytes: 2 },
  I32: { id: 26, block: 1, bytes: 4 },
  I64: { id: 27, block: 1, bytes: 8 },
  F64: { id: 28, block: 1, bytes: 8 },
  IQ1_M: { id: 29, block: 256, bytes: 56 },
  BF16: { id: 30, block: 1, bytes: 2 },
  TQ1_0: { id: 34, block: 256, bytes: 54 },
  TQ2_0: { id: 35, block: 256, bytes: 66 },
  MXFP4: { id: 39, block: 32, bytes: 17 },
} as const satisfies Record<string, GgmlType>;

/** Name of a tensor type. */
export type GgmlTypeName = keyof typeof ggmlTypes;

/** Whether a tensor's dtype, as any file spells it, is one of ggml's whose numbers share a scale in blocks. */
export function isBlockType(dtype: string): boolean {
  return Object.hasOwn(ggmlTypes, dtype) && ggmlTypes[dtype as GgmlTypeName].block > 1;
}
