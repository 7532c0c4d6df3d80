import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileError, systemCode } from "./file-error.ts";
import type { JsonObject } from "./json.ts";
import { parseJsonObject } from "./json.ts";
import type { TextFiles } from "./text-files.ts";
import { decodeUtf8 } from "./utf8.ts";

/**
 * Reads a file that must hold one JSON object.
 *
 * @throws {FileError} when it is missing or cannot be read.
 * @throws {CheckpointError} when it holds something else.
 */
export async function readJsonObject(path: string): Promise<JsonObject> {
  return parseJsonObject(path, await readBytes(path));
}

/**
 * A file that must hold one JSON object, or null where there is none.
 *
 * @throws {FileError} when it cannot be read.
 * @throws {CheckpointError} when it holds something else.
 */
export async function readJsonIfThere(path: string): Promise<JsonObject | null> {
  const bytes = await readBytesIfThere(path);
  return bytes === null ? null : parseJsonObject(path, bytes);
}

/**
 * The files of a folder.
 *
 * Reading one throws a {@link FileError} when it cannot be read, a {@link CheckpointError} when it should be text and is
 * not UTF-8.
 */
export function folderTexts(folder: string): TextFiles {
  return {
    where: (name) => join(folder, name),
    read: (name) => readTextIfThere(join(folder, name)),
    readBytes: (name) => readBytesIfThere(join(folder, name)),
  };
}

/**
 * Contents of a text file, or null where there is none.
 *
 * @throws {FileError} when it cannot be read.
 * @throws {CheckpointError} when it is not UTF-8.
 */
export async function readTextIfThere(path: string): Promise<string | null> {
  const bytes = await readBytesIfThere(path);
  return bytes === null ? null : decodeUtf8(path, bytes);
}

async function readBytes(path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: unknown) => {
    throw fileError(path, "read", error);
  });
}

async function readBytesIfThere(path: string): Promise<Uint8Array | null> {
  return readFile(path).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return null;
    throw fileError(path, "read", error);
  });
}
