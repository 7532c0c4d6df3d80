import { CheckpointError } from "../core/errors.ts";
import { decodeUtf8 } from "./utf8.ts";

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A JSON object. */
export type JsonObject = { readonly [key: string]: Json };

/** A parsed object whose values are yet to be checked. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** Objects and lists within each other, at most: far more than any format has, and far less than the stack has room for. */
const deepest = 100;

/**
 * Parses a file that must hold one JSON object.
 *
 * @throws {CheckpointError} naming the file, when it is not valid UTF-8, not JSON, something else than an object, or
 * nests more than a hundred deep.
 */
export function parseJsonObject(where: string, contents: Uint8Array | string): JsonObject {
  const text = typeof contents === "string" ? contents : decodeUtf8(where, contents);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replaceAll(/\s+/g, " ") : String(error);
    throw new CheckpointError(`${where}: is not valid JSON (${reason}); it is damaged, write or fetch it again`, {
      cause: error,
    });
  }
  if (!isJsonObject(value)) {
    const found = describe(value);
    throw new CheckpointError(`${where}: holds ${found}, a JSON object is expected; check that it is the right file`);
  }
  if (isDeeper(value, deepest)) {
    throw new CheckpointError(
      `${where}: nests objects and lists more than ${deepest} deep; the file is damaged, fetch or write it again`,
    );
  }
  return value;
}

/** Whether objects and lists nest more than `limit` deep. Goes level by level: the stack ends where nesting does not. */
function isDeeper(value: Json, limit: number): boolean {
  let level = [value].filter(holdsOthers);
  for (let depth = 0; depth < limit; depth++) level = level.flatMap((one) => Object.values(one).filter(holdsOthers));
  return level.length > 0;
}

function holdsOthers(value: Json): value is JsonObject | readonly Json[] {
  return typeof value === "object" && value !== null;
}

/** Whether a parsed value is an object: neither null nor an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `an array`, `a string`, `null` …, as it appears in messages. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/**
 * The first key that an object repeats anywhere in valid JSON text, or null. `JSON.parse` keeps the last one silently,
 * which would hide a second tensor of the same name.
 */
export function repeatedKey(text: string): string | null {
  const open: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "{") open.push(new Set());
    else if (character === "}") open.pop();
    else if (character === '"') {
      const end = endOfString(text, at);
      if (isFollowedByColon(text, end)) {
        const key: string = JSON.parse(text.slice(at, end));
        const keys = open.at(-1);
        if (keys?.has(key)) return key;
        keys?.add(key);
      }
      at = end - 1;
    }
  }
  return null;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function isFollowedByColon(text: string, from: number): boolean {
  let at = from;
  while (" \t\r\n".includes(text[at] ?? "x")) at++;
  return text[at] === ":";
}

/**
 * JSON text with two spaces of indentation and a final newline, as Hugging Face libraries write it.
 *
 * @param floatKeys - Keys, at any depth, whose numbers are written with a point, 1.0 and not 1: to readers in Python
 * those are of different types.
 * @throws {CheckpointError} naming the place of a value that JSON cannot hold, such as NaN, which would silently
 * become null.
 */
export function formatJson(where: string, value: unknown, floatKeys: ReadonlySet<string> = new Set()): string {
  const place = unholdable(value, "");
  if (place !== null) throw new CheckpointError(`${where}: ${place}, which JSON cannot hold`);
  // A line holds one number at most, and no text reaches beyond its line.
  const text = JSON.stringify(value, null, 2).replaceAll(
    /^( *"(\w+)": -?\d+)(?=,?$)/gm,
    (line: string, _, key: string) => (floatKeys.has(key) ? `${line}.0` : line),
  );
  return `${text}\n`;
}

/** Keys of JSON text that have a whole number written with a point, such as 1.0: parsing it forgets that. */
export function wholeFloatKeys(text: string): Set<string> {
  return new Set([...text.matchAll(/"(\w+)"\s*:\s*-?\d+\.0+(?=[\s,}])/g)].map(([, key]) => key as string));
}

/** Object keys in alphabetical order, at every depth: the same contents give the same bytes. */
export function sortKeys(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isJsonObject(value)) return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sortKeys(value[key] ?? null)]));
}

function unholdable(value: unknown, path: string): string | null {
  const here = path === "" ? "the value" : path;
  if (value === null || ["boolean", "string", "undefined"].includes(typeof value)) return null;
  if (typeof value === "number") return Number.isFinite(value) ? null : `${here} is ${value}`;
  if (typeof value !== "object") return `${here} is a ${typeof value}`;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) {
    return `${here} is a ${value.constructor.name}`;
  }
  for (const [key, item] of Object.entries(value)) {
    const problem = unholdable(item, path === "" ? key : `${path}.${key}`);
    if (problem !== null) return problem;
  }
  return null;
}
