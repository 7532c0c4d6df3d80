import { CheckpointError } from "../core/errors.ts";
import { shortened } from "../core/schema-demand.ts";
import type { Shape } from "../core/shape.ts";
import { elementCount, formatShape } from "../core/shape.ts";
import type { GgmlTypeName, GgufArray, GgufType, GgufValue } from "./gguf-values.ts";
import { ggmlTypes, isNumberType, numberArrays, valueTypes } from "./gguf-values.ts";
import type { HeaderCursor } from "./header-cursor.ts";
import { otherQuantization } from "./tensor-source.ts";

/** Where a tensor lies in its file. */
export interface GgufEntry {
  readonly dtype: GgmlTypeName;
  /** Row-major, outermost axis first: the reverse of the order in the file. */
  readonly shape: Shape;
  /** First byte, and the one after the last, counted from the start of the data. */
  readonly begin: number;
  readonly end: number;
}

/** Everything a file says before its data. */
export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** In file order, which is also that of their data. */
  readonly tensors: ReadonlyMap<string, GgufEntry>;
  /** Every tensor's data starts at a multiple of it. */
  readonly alignment: number;
  /** Where the data starts in the file. */
  readonly dataStart: number;
}

/** Bytes that every file starts with: `GGUF`. */
export const magic = 0x46554747;

/** Alignment where the metadata do not set another. */
export const defaultAlignment = 32;

/** Longest name of a tensor, in bytes: ggml keeps 64 with the final zero. */
export const maxNameBytes = 64;

/** Most axes of a tensor. */
export const maxAxes = 4;

const maxElements = 2 ** 24;
const maxDepth = 8;
/** Lists within lists of a whole file: each takes far more memory than its twelve bytes there. */
const maxInnerLists = 2 ** 15;

/**
 * Checks a header completely: every count against the bytes that are left before anything is allocated for it, and
 * tensors that follow one another without overlap as ggml demands.
 *
 * @throws {CheckpointError} naming the first thing that is wrong.
 */
export function parseGgufHeader(cursor: HeaderCursor): GgufHeader {
  const version = parseVersion(cursor);
  const tensorCount = cursor.count(24, "tensors");
  const pairCount = cursor.count(13, "metadata pairs");
  const metadata = new Map<string, GgufValue>();
  const innerLists = { left: maxInnerLists };
  for (let i = 0; i < pairCount; i++) {
    const key = cursor.string(65535, "key");
    if (metadata.has(key)) throw cursor.damaged(`the key ${shown(key)} comes twice`);
    metadata.set(key, parseValue(cursor, shown(key), innerLists));
  }
  const alignment = parseAlignment(metadata, (fault) => cursor.damaged(fault));
  const tensors = new Map<string, GgufEntry>();
  let end = 0;
  for (let i = 0; i < tensorCount; i++) {
    const name = cursor.string(maxNameBytes, "tensor name");
    if (tensors.has(name)) throw cursor.damaged(`two tensors are called ${JSON.stringify(name)}`);
    const entry = parseEntry(cursor, name, alignUp(end, alignment));
    tensors.set(name, entry);
    end = entry.end;
  }
  const dataStart = alignUp(cursor.position, alignment);
  if (end > 0 && dataStart + end > cursor.sizeBytes) {
    throw new CheckpointError(
      `${cursor.name}: its tensors end at byte ${dataStart + end}, the file at ${cursor.sizeBytes}; it is truncated, fetch or write it again`,
    );
  }
  return { version, metadata, tensors, alignment, dataStart };
}

/** The next multiple of a power of two. */
export function alignUp(position: number, alignment: number): number {
  return Math.ceil(position / alignment) * alignment;
}

/** Bytes of a tensor, or null where its rows are not whole blocks or the number is not a safe one. */
export function ggmlBytes(dtype: GgmlTypeName, shape: Shape): number | null {
  const { block, bytes } = ggmlTypes[dtype];
  const elements = shape.includes(0) ? 0 : elementCount(shape);
  if (!Number.isSafeInteger(elements * bytes) || (shape.at(-1) ?? 1) % block !== 0) return null;
  return (elements / block) * bytes;
}

/** The alignment that metadata set, or the default. `fail` makes the error for one that is impossible. */
export function parseAlignment(metadata: ReadonlyMap<string, GgufValue>, fail: (fault: string) => Error): number {
  const setting = metadata.get("general.alignment");
  if (setting === undefined) return defaultAlignment;
  if (setting.type !== "uint32") throw fail(`general.alignment is of type ${setting.type}, uint32 is expected`);
  const { value } = setting;
  if (value < 1 || value > 2 ** 20 || (value & (value - 1)) !== 0) {
    throw fail(`general.alignment is ${value}, a power of two up to 2²⁰ is expected`);
  }
  return value;
}

function parseVersion(cursor: HeaderCursor): number {
  const start = cursor.uint32();
  if (start !== magic) {
    throw new CheckpointError(
      `${cursor.name}: is not a GGUF file: it starts with 0x${start.toString(16).padStart(8, "0")}; check the path`,
    );
  }
  const version = cursor.uint32();
  if (version === 2 || version === 3) return version;
  const what = version === 0x03000000 ? "is a big-endian GGUF file" : `is GGUF version ${version}`;
  throw new CheckpointError(`${cursor.name}: ${what}; versions 2 and 3, little-endian, can be read: convert it`);
}

function parseEntry(cursor: HeaderCursor, name: string, expectedBegin: number): GgufEntry {
  const axes = cursor.uint32();
  if (axes > maxAxes) throw cursor.damaged(`${JSON.stringify(name)} has ${axes} axes, at most ${maxAxes} are possible`);
  const shape = Array.from({ length: axes }, () => cursor.uint64("axis length")).reverse();
  const id = cursor.uint32();
  const dtype = (Object.keys(ggmlTypes) as GgmlTypeName[]).find((type) => ggmlTypes[type].id === id);
  if (dtype === undefined) {
    throw new CheckpointError(
      `${cursor.name}: ${JSON.stringify(name)} is of ggml type ${id}, which is not known; ${otherQuantization}`,
    );
  }
  const bytes = ggmlBytes(dtype, shape);
  if (bytes === null) {
    const { block } = ggmlTypes[dtype];
    const why = block > 1 ? `, whose rows have to be multiples of ${block}` : "";
    throw cursor.damaged(`${JSON.stringify(name)} cannot be ${dtype} ${formatShape(shape)}${why}`);
  }
  const begin = cursor.uint64("offset");
  if (begin !== expectedBegin) {
    throw cursor.damaged(`${JSON.stringify(name)} starts at ${begin} of the data, ${expectedBegin} is expected`);
  }
  return { dtype, shape, begin, end: begin + bytes };
}

/** A key in a message: of a damaged file it may be anything. */
function shown(key: string): string {
  if (/^[\w.-]{1,80}$/.test(key)) return key;
  return JSON.stringify(shortened(key));
}

/** How many lists may still come within others. */
interface InnerLists {
  left: number;
}

function parseValue(cursor: HeaderCursor, key: string, innerLists: InnerLists): GgufValue {
  const type = parseType(cursor, key);
  if (type === "array") return parseArray(cursor, key, innerLists, 1);
  if (type === "string") return { type, value: cursor.string(Number.MAX_SAFE_INTEGER, "string") };
  if (type === "bool") return { type, value: parseBool(cursor, key) };
  const [value] = cursor.numbers(type, 1);
  return { type, value } as GgufValue;
}

function parseArray(cursor: HeaderCursor, key: string, innerLists: InnerLists, depth: number): GgufArray {
  if (depth > maxDepth) throw cursor.damaged(`${key} nests lists more than ${maxDepth} deep`);
  const elementType = parseType(cursor, key);
  const smallest = { string: 8, array: 12, bool: 1 } as const;
  const bytesEach = isNumberType(elementType) ? numberArrays[elementType].BYTES_PER_ELEMENT : smallest[elementType];
  const length = cursor.count(bytesEach, `elements of ${key}`);
  if (length > maxElements) throw cursor.damaged(`${key} has ${length} elements, at most ${maxElements} can be read`);
  if (isNumberType(elementType)) {
    return { type: "array", elementType, values: cursor.numbers(elementType, length) };
  }
  if (elementType === "string") return { type: "array", elementType, values: cursor.strings(length, "string") };
  if (elementType === "array") {
    innerLists.left -= length;
    if (innerLists.left < 0)
      throw cursor.damaged(`${key} has more lists in lists than the ${maxInnerLists} that can be read`);
  }
  const element = {
    bool: () => parseBool(cursor, key),
    array: () => parseArray(cursor, key, innerLists, depth + 1),
  }[elementType];
  const values: (boolean | GgufArray)[] = [];
  for (let i = 0; i < length; i++) values.push(element());
  return { type: "array", elementType, values };
}

function parseType(cursor: HeaderCursor, key: string): GgufType {
  const id = cursor.uint32();
  const type = valueTypes[id];
  if (type === undefined) throw cursor.damaged(`${key} is of type ${id}, types are 0 to ${valueTypes.length - 1}`);
  return type;
}

function parseBool(cursor: HeaderCursor, key: string): boolean {
  const byte = Number(cursor.numbers("uint8", 1)[0]);
  if (byte > 1) throw cursor.damaged(`${key} is the bool ${byte}, 0 or 1 is expected`);
  return byte === 1;
}
