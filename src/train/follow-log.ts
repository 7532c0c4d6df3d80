import { open, stat } from "node:fs/promises";
import { fileError, systemCode } from "../files/file-error.ts";
import type { LogRecord } from "./log.ts";
import { parseLogLine } from "./log.ts";

/** Bytes that are read at once, and the longest line there may be. */
const partBytes = 2 ** 22;

/** How far a log was read. A run that goes on from a checkpoint may put another file in its place. */
export interface LogPlace {
  /** Bytes of the file that were read: whole lines. */
  readonly offset: number;
  /** Which file it was. */
  readonly file: string;
}

/** Some more of a log. */
export interface LogPart {
  readonly records: readonly LogRecord[];
  /** Lines that are no record. */
  readonly damagedLines: number;
  /** Where to go on later. */
  readonly place: LogPlace;
  /** The file is another one than before, or was cut: what was read of it until now no longer holds. */
  readonly isAnew: boolean;
}

/**
 * What a log such as `metrics.jsonl` holds after a place, in parts of bounded size, to the end that it has now; nothing
 * where there is no such file. A last line that is still being written is left for the next time.
 *
 * @throws {FileError} when the file cannot be read.
 */
export async function* followLog(path: string, from: LogPlace | null = null): AsyncGenerator<LogPart> {
  const there = await stat(path).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return null;
    throw fileError(path, "read", error);
  });
  if (there === null || !there.isFile()) return; // opening a pipe would wait for whoever writes it
  try {
    yield* partsOf(path, from);
  } catch (error) {
    throw fileError(path, "read", error);
  }
}

async function* partsOf(path: string, from: LogPlace | null): AsyncGenerator<LogPart> {
  const handle = await open(path, "r");
  try {
    const { size, ino } = await handle.stat({ bigint: true });
    const file = String(ino);
    let isAnew = from !== null && (from.file !== file || from.offset > Number(size));
    let offset = from === null || isAnew ? 0 : from.offset;
    const buffer = Buffer.alloc(Math.min(partBytes, Math.max(1, Number(size) - offset)));
    while (offset < size) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
      const lastBreak = buffer.subarray(0, bytesRead).lastIndexOf(10);
      if (lastBreak === -1 && bytesRead < partBytes) break; // the last line is not whole yet
      const end = lastBreak === -1 ? bytesRead : lastBreak + 1;
      offset += end;
      const lines = buffer.toString("utf8", 0, end).split("\n");
      const written = lines.filter((line) => line.trim() !== "");
      const records = written.flatMap((line) => parseLogLine(line) ?? []);
      yield { records, damagedLines: written.length - records.length, place: { offset, file }, isAnew };
      isAnew = false;
    }
    if (isAnew) yield { records: [], damagedLines: 0, place: { offset, file }, isAnew };
  } finally {
    await handle.close();
  }
}
