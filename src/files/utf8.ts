import { CheckpointError } from "../core/errors.ts";

/**
 * The text that bytes hold in UTF-8.
 *
 * @throws {CheckpointError} naming the file, when they hold anything else.
 */
export function decodeUtf8(where: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new CheckpointError(`${where}: is not UTF-8 text; it is damaged, write or fetch it again`, { cause: error });
  }
}
