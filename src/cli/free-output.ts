import { readdir, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { SettingsError } from "../core/errors.ts";
import { isGgufPath } from "../files/gguf-path.ts";

/** Setting of commands that write a model somewhere. */
export const overwriteSetting = z.boolean().default(false).describe("replace what is at --output");

/** What a command is about to write. */
export interface OutputPlan {
  readonly command: string;
  /** What is read: folders or files. */
  readonly sources: readonly string[];
  readonly output: string;
  readonly kind: "file" | "folder";
  readonly overwrite: boolean;
}

/**
 * Makes sure that writing an output loses nothing that anybody wants to keep.
 *
 * @throws {SettingsError} when there is something already and it is not to be replaced, or when it is the source itself,
 * of which a rounded copy would take the place.
 */
export async function refuseTakenOutput({ command, sources, output, kind, overwrite }: OutputPlan): Promise<void> {
  const there = await stat(output).catch(() => null); // whatever else is wrong with the path, writing it says
  if (there === null) return;
  if (there.isDirectory() && kind === "file") {
    throw new SettingsError(`${command}: ${output} is a folder; give --output the name of a file, in it or elsewhere`);
  }
  const isGguf = kind === "file" && isGgufPath(output);
  const place = await realpath(output);
  for (const source of sources) {
    const from = await realpath(source).catch(() => null);
    if (from === null || (place !== from && (dirname(place) !== from || isGguf))) continue;
    throw new SettingsError(`${command}: ${output} is what is read, and would be lost; choose another --output`);
  }
  if (overwrite || (there.isDirectory() && (await readdir(output)).length === 0)) return;
  throw new SettingsError(`${command}: ${output} already exists; choose another --output or add --overwrite`);
}
