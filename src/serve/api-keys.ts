import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { FileError, SettingsError } from "../core/errors.ts";
import { ApiError } from "./api-error.ts";

/** Shortest key that is taken: what can be guessed is none. */
const shortest = 16;

/** The keys of a server, of which it keeps hashes only. */
export class ApiKeys {
  readonly #hashes: readonly Buffer[];

  constructor(keys: readonly string[]) {
    this.#hashes = keys.map(hashOf);
  }

  /**
   * Who asks: another name for each key. All keys are compared in full, so that the time says nothing about them.
   *
   * @param authorization - The header of that name.
   * @throws {ApiError} 401 when it holds none of the keys.
   */
  ownerOf(authorization: string | null): string {
    const [, given = ""] = /^bearer +(\S+)$/i.exec(authorization ?? "") ?? [];
    const hash = hashOf(given);
    let owner = -1;
    for (const [i, own] of this.#hashes.entries()) if (timingSafeEqual(hash, own)) owner = i;
    if (owner >= 0) return `key-${owner + 1}`;
    const what = given === "" ? "no API key" : "an API key that this server does not know";
    throw new ApiError(401, `${what}; send the header authorization: Bearer KEY with one of its --api-key-file`, {
      code: "invalid_api_key",
      headers: { "www-authenticate": "Bearer" },
    });
  }
}

function hashOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

/**
 * The keys in a file, one a line; lines that begin with # are remarks.
 *
 * @throws {FileError} when it cannot be read.
 * @throws {SettingsError} when it holds none, or one that is too short or has spaces, naming the line only.
 */
export async function readApiKeys(path: string): Promise<ApiKeys> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new FileError(`api-key-file: ${path} cannot be read (${error.code}); check the path and its permissions`, {
      cause: error,
    });
  });
  const lines = text.split(/\r?\n/).map((line, i) => ({ key: line.trim(), place: `line ${i + 1}` }));
  const keys = lines.filter(({ key }) => key !== "" && !key.startsWith("#"));
  if (keys.length === 0) throw new SettingsError(`api-key-file: ${path} holds no key; write one a line`);
  for (const { key, place } of keys) {
    if (/\s/.test(key))
      throw new SettingsError(`api-key-file: ${path}, ${place}: a key has no spaces; write one a line`);
    if (key.length < shortest) {
      throw new SettingsError(
        `api-key-file: ${path}, ${place}: has ${key.length} characters; take at least ${shortest}, ` +
          "such as openssl rand -hex 24 gives",
      );
    }
  }
  return new ApiKeys(keys.map(({ key }) => key));
}
