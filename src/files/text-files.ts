import type { JsonObject } from "./json.ts";
import { parseJsonObject } from "./json.ts";

/** Text files by name, wherever they are: in a folder, in memory, behind an address. */
export interface TextFiles {
  /** What messages call a file. */
  where(name: string): string;
  /** Contents of a file, or null where there is none. */
  read(name: string): Promise<string | null>;
  /** Contents of a file that is no text, or null where there is none; left out: there are none. */
  readBytes?(name: string): Promise<Uint8Array | null>;
}

/** Texts that are in memory already. */
export function memoryTexts(texts: Readonly<Record<string, string>>): TextFiles {
  return {
    where: (name) => name,
    read: async (name) => (Object.hasOwn(texts, name) ? (texts[name] ?? null) : null),
  };
}

/**
 * One of `files` that must hold a JSON object, or null where there is none.
 *
 * @throws {CheckpointError} when it holds something else.
 */
export async function readJsonOf(files: TextFiles, name: string): Promise<JsonObject | null> {
  const text = await files.read(name);
  return text === null ? null : parseJsonObject(files.where(name), text);
}
