import { fileError } from "../files/file-error.ts";
import type { LogRecord } from "./log.ts";
import { parseLogLine } from "./log.ts";
import type { LogFile, LogPlace } from "./log-file.ts";
import { isAnother, openLog, wholeLines } from "./log-file.ts";

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
  const log = await openLog(path);
  if (log === null) return;
  try {
    yield* partsOf(log, from);
  } catch (error) {
    throw fileError(path, "read", error);
  } finally {
    await log.handle.close();
  }
}

async function* partsOf(log: LogFile, from: LogPlace | null): AsyncGenerator<LogPart> {
  const { file, size } = log;
  let isAnew = from !== null && isAnother(log, from);
  let end = from === null || isAnew ? 0 : from.offset;
  for await (const { bytes, length, offset } of wholeLines(log, end, size)) {
    end = offset + length;
    const written = bytes
      .toString("utf8", 0, length)
      .split("\n")
      .filter((line) => line.trim() !== "");
    const records = written.flatMap((line) => parseLogLine(line) ?? []);
    yield { records, damagedLines: written.length - records.length, place: { offset: end, file }, isAnew };
    isAnew = false;
  }
  if (isAnew) yield { records: [], damagedLines: 0, place: { offset: end, file }, isAnew };
}
