import { mkdir, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileError, systemCode } from "./file-error.ts";

/**
 * Makes a folder, and those above it that are missing. (Node's recursive `mkdir` tries for ever where the system says of a
 * folder that it does not exist although its parent does, as /proc does.)
 *
 * @throws {FileError} when it cannot be made.
 */
export async function makeFolder(path: string): Promise<void> {
  const parent = dirname(resolve(path));
  if ((await tryToMake(path)) === "made") return;
  if (parent !== resolve(path)) await makeFolder(parent);
  const cause = await tryToMake(path);
  if (cause !== "made") throw fileError(path, "write", cause);
}

/** Makes one folder, or gives the error for which a missing parent may be the reason. */
async function tryToMake(path: string): Promise<"made" | Error> {
  try {
    await mkdir(path);
    return "made";
  } catch (error) {
    if (systemCode(error) === "ENOENT") return error as Error;
    if (systemCode(error) === "EEXIST" && (await stat(path)).isDirectory()) return "made";
    throw fileError(path, "write", error);
  }
}
