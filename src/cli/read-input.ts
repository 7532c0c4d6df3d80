import { text as readAll } from "node:stream/consumers";
import { SettingsError } from "../core/errors.ts";
import { readText } from "../data/text-file.ts";
import type { Io } from "./command.ts";

/**
 * A whole text file.
 *
 * @throws {FileError} when it cannot be read.
 * @throws {DataError} when it is not UTF-8 text.
 */
export async function readTextFile(path: string): Promise<string> {
  let text = "";
  for await (const piece of readText(path)) text += piece;
  return text;
}

/**
 * Everything on standard input.
 *
 * @throws {SettingsError} when that is a terminal, where nobody would know that the command waits: it says which
 * flags give the same.
 */
export async function readInput(io: Io, what: string, flags: string): Promise<string> {
  if (io.input.isTTY === true) throw new SettingsError(`there is no ${what}; give ${flags}, or pipe it in`);
  return readAll(io.input);
}
