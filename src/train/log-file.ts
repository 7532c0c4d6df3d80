import type { FileHandle } from "node:fs/promises";
import { open, stat } from "node:fs/promises";
import { fileError, systemCode } from "../files/file-error.ts";

/** Bytes that are read at once, and the longest line there may be. */
const partBytes = 2 ** 22;

/** How far a log was read. A run that goes on from a checkpoint may put another file in its place. */
export interface LogPlace {
  /** Bytes of the file that were read: whole lines. */
  readonly offset: number;
  /** Which file it was. */
  readonly file: string;
}

/** A log that is open, as long as it was then: what is added later is left for the next time. */
export interface LogFile {
  readonly handle: FileHandle;
  /** In bytes. */
  readonly size: number;
  /** Which file it is, as {@link LogPlace} says. */
  readonly file: string;
}

/** Whole lines of a log. The next part is read into the same memory. */
export interface LogBytes {
  readonly bytes: Buffer;
  /** How many of the bytes they are. */
  readonly length: number;
  /** Where they begin in the file. */
  readonly offset: number;
}

/**
 * Opens a log for reading.
 *
 * @returns the file, to be closed by its handle; null where there is none.
 * @throws {FileError} when it cannot be read.
 */
export async function openLog(path: string): Promise<LogFile | null> {
  try {
    if (!(await stat(path)).isFile()) return null; // opening a pipe would wait for whoever writes it
    const handle = await open(path, "r");
    const { size, ino } = await handle.stat({ bigint: true });
    return { handle, size: Number(size), file: String(ino) };
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return null;
    throw fileError(path, "read", error);
  }
}

/** Whether what was read of a log until a place no longer holds: the file is another one, or was cut. */
export function isAnother({ file, size }: LogFile, place: LogPlace): boolean {
  return place.file !== file || place.offset > size;
}

/**
 * The lines between two places, in parts of at most 4 MiB. A last line that is still being written is left out; one that is
 * longer than a part comes in pieces.
 */
export async function* wholeLines({ handle }: LogFile, from: number, to: number): AsyncGenerator<LogBytes> {
  const bytes = Buffer.allocUnsafe(Math.min(partBytes, Math.max(1, to - from)));
  for (let offset = from; offset < to; ) {
    const { bytesRead } = await handle.read(bytes, 0, Math.min(bytes.length, to - offset), offset);
    const lastBreak = bytes.subarray(0, bytesRead).lastIndexOf(10);
    if (bytesRead === 0 || (lastBreak === -1 && bytesRead < partBytes)) return; // the last line is not whole yet
    const length = lastBreak === -1 ? bytesRead : lastBreak + 1;
    yield { bytes, length, offset };
    offset += length;
  }
}
