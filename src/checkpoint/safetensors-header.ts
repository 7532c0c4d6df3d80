import { CheckpointError } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import type { Json } from "../files/json.ts";
import { describe, isJsonObject, parseJsonObject, repeatedKey } from "../files/json.ts";

/** Bits of one element, for every dtype the format knows. */
const bitsPerElement = {
  F64: 64,
  F32: 32,
  F16: 16,
  BF16: 16,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F4: 4,
  C64: 64,
  I64: 64,
  I32: 32,
  I16: 16,
  I8: 8,
  U64: 64,
  U32: 32,
  U16: 16,
  U8: 8,
  BOOL: 8,
} as const;

/** Element types of the safetensors format. */
export type SafetensorsDtype = keyof typeof bitsPerElement;

/** Where a tensor lies in its file. */
export interface SafetensorsEntry {
  readonly dtype: SafetensorsDtype;
  readonly shape: Shape;
  /** First byte, and the one after the last, counted from the start of the data. */
  readonly begin: number;
  readonly end: number;
}

/** Everything a file says before its data. */
export interface SafetensorsHeader {
  /** Free text pairs under `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>;
  /** In the order of their data. */
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
}

/** Longest header the reference implementation reads. */
export const maxHeaderBytes = 100_000_000;

const metadataKey = "__metadata__";

/** Bytes of a tensor, or null when the number is not a whole or a safe one. */
export function byteLength(dtype: SafetensorsDtype, shape: Shape): number | null {
  let bits: number = bitsPerElement[dtype];
  for (const length of shape) {
    bits *= length;
    if (!Number.isSafeInteger(bits)) return null;
  }
  return bits % 8 === 0 ? bits / 8 : null;
}

/**
 * Checks a header completely before anything is allocated from it: known dtypes, shape times dtype equal to the
 * offsets, and data that fills `dataBytes` with no hole and no overlap.
 *
 * @throws {CheckpointError} naming `where` and the first thing that is wrong.
 */
export function parseHeader(where: string, json: Uint8Array, dataBytes: number): SafetensorsHeader {
  if (json[0] !== 0x7b) throw damaged(where, "the header does not start with {");
  const header = parseJsonObject(`${where}: header`, json);
  const repeated = repeatedKey(new TextDecoder().decode(json));
  if (repeated !== null) throw damaged(where, `the header has the key ${quote(repeated)} twice`);

  const entries: [string, SafetensorsEntry][] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name !== metadataKey) entries.push([name, parseEntry(where, name, value)]);
  }
  entries.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);

  let end = 0;
  for (const [name, entry] of entries) {
    if (entry.begin !== end) {
      const fault = entry.begin < end ? "overlaps the tensor before it" : "leaves a hole before it";
      throw damaged(where, `${quote(name)} at byte ${entry.begin} ${fault}, which ends at ${end}`);
    }
    end = entry.end;
  }
  if (end !== dataBytes) throw wrongSize(where, end, dataBytes);
  return { metadata: parseMetadata(where, header[metadataKey]), tensors: new Map(entries) };
}

/**
 * Header bytes as the reference implementation writes them: compact JSON, metadata first, padded with spaces so that
 * the data starts at a multiple of 8 bytes. Includes the length that precedes it.
 *
 * @throws {CheckpointError} when it would be longer than readers accept.
 */
export function formatHeader(where: string, header: SafetensorsHeader): Uint8Array {
  const fields: [string, unknown][] = [];
  if (header.metadata.size > 0) fields.push([metadataKey, Object.fromEntries([...header.metadata].sort())]);
  for (const [name, { dtype, shape, begin, end }] of header.tensors) {
    fields.push([name, { dtype, shape, data_offsets: [begin, end] }]);
  }
  // Not an object: it would put names that look like numbers first and trip over `__proto__`.
  const json = new TextEncoder().encode(
    `{${fields.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`,
  );
  const length = Math.ceil(json.length / 8) * 8;
  if (length > maxHeaderBytes) {
    throw new CheckpointError(
      `${where}: the header would be ${length} bytes, readers accept ${maxHeaderBytes}; write shards`,
    );
  }
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}

function parseEntry(where: string, name: string, value: Json): SafetensorsEntry {
  if (!isJsonObject(value)) throw damaged(where, `the entry of ${quote(name)} is ${describe(value)}`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isDtype(dtype)) {
    throw damaged(
      where,
      `${quote(name)} has the dtype ${abbreviate(dtype)}, known are ${Object.keys(bitsPerElement).join(" ")}`,
    );
  }
  if (!isCounts(shape)) throw damaged(where, `${quote(name)} has the shape ${abbreviate(shape)}`);
  if (!isCounts(offsets) || offsets.length !== 2) {
    throw damaged(where, `${quote(name)} has the data_offsets ${abbreviate(offsets)}`);
  }
  const [begin = 0, end = 0] = offsets;
  const length = byteLength(dtype, shape);
  if (length === null || end - begin !== length) {
    const needs = length === null ? "an impossible number of" : length;
    throw damaged(
      where,
      `${quote(name)}, ${dtype} ${abbreviate(shape)}, needs ${needs} bytes, its offsets span ${end - begin}`,
    );
  }
  return { dtype, shape, begin, end };
}

function parseMetadata(where: string, value: Json | undefined): Map<string, string> {
  if (value === undefined) return new Map();
  if (!isJsonObject(value)) throw damaged(where, `__metadata__ is ${describe(value)}`);
  const pairs = Object.entries(value);
  const wrong = pairs.find(([, text]) => typeof text !== "string");
  if (wrong) throw damaged(where, `__metadata__ has ${describe(wrong[1])} under ${quote(wrong[0])}, not a string`);
  return new Map(pairs as [string, string][]);
}

function isDtype(value: Json | undefined): value is SafetensorsDtype {
  return typeof value === "string" && Object.hasOwn(bitsPerElement, value);
}

function isCounts(value: Json | undefined): value is readonly number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function wrongSize(where: string, expected: number, actual: number): CheckpointError {
  const fault = actual < expected ? "it is truncated" : "something was added to it";
  return new CheckpointError(
    `${where}: its tensors take ${expected} bytes, the file has ${actual}: ${fault}; fetch or write it again`,
  );
}

function damaged(where: string, fault: string): CheckpointError {
  return new CheckpointError(`${where}: ${fault}; the file is damaged, fetch or write it again`);
}

function quote(name: string): string {
  return name.length > 100 ? `"${name.slice(0, 100)}…"` : `"${name}"`;
}

/** A short form of any value, however deep: `JSON.stringify` would overflow the stack on what a damaged file may hold. */
function abbreviate(value: Json | undefined): string {
  if (Array.isArray(value)) {
    const shown = value.slice(0, 8).map((item) => (typeof item === "number" ? item : describe(item)));
    return `[${shown.join(",")}${value.length > 8 ? ",…" : ""}]`;
  }
  if (typeof value === "string") return quote(value);
  return typeof value === "number" ? String(value) : describe(value);
}
