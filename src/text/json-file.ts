import { readFile } from "node:fs/promises";
import { CheckpointError } from "../core/errors.ts";

/** A parsed JSON object, whose values are yet to be checked. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/**
 * Contents of a text file, or null where there is none.
 *
 * @throws {CheckpointError} when it cannot be read or is not UTF-8.
 */
export async function readTextIfThere(path: string): Promise<string | null> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    const reason = code === "EISDIR" ? "it is a folder" : `the system reports ${code ?? error}`;
    throw new CheckpointError(`${path}: cannot be read: ${reason}; check the path`, { cause: error });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new CheckpointError(`${path}: is not UTF-8 text; it is damaged, write or fetch it again`, { cause: error });
  }
}

/**
 * A JSON file that must hold an object, or null where there is none.
 *
 * @throws {CheckpointError} when it cannot be read or holds something else.
 */
export async function readJsonIfThere(path: string): Promise<JsonRecord | null> {
  const text = await readTextIfThere(path);
  return text === null ? null : parseJsonRecord(path, text);
}

/** Parses the text of a file that must hold one JSON object. */
function parseJsonRecord(where: string, text: string): JsonRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replaceAll(/\s+/g, " ") : String(error);
    throw new CheckpointError(`${where}: is not valid JSON (${reason}); it is damaged, write or fetch it again`, {
      cause: error,
    });
  }
  if (!isRecord(value)) {
    const found = Array.isArray(value) ? "an array" : JSON.stringify(value).slice(0, 40);
    throw new CheckpointError(`${where}: holds ${found}, a JSON object is expected; check that it is the right file`);
  }
  return value;
}

/** Whether a value is an object: neither null nor an array. */
export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
