import { readFile } from "node:fs/promises";
import type { JsonObject } from "./json.ts";
import { parseJsonObject } from "./json.ts";
import { storageError } from "./storage-error.ts";

/**
 * Reads a file that must hold one JSON object.
 *
 * @throws {CheckpointError} when it is missing, unreadable or something else.
 */
export async function readJsonObject(path: string): Promise<JsonObject> {
  const contents = await readFile(path).catch((error: unknown) => {
    throw storageError(path, "read", error);
  });
  return parseJsonObject(path, contents);
}
