import { appendFileSync, closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { fileError, systemCode } from "../files/file-error.ts";

/** One line of a log: what was known after `step` updates. */
export type LogRecord = { readonly step: number } & Readonly<Record<string, unknown>>;

/** Records of a log that are kept in memory. */
const newestCount = 100;

/**
 * A file of one JSON object a line that only grows, such as `metrics.jsonl`. A line is written whole in one call, so
 * that readers of a running log see complete lines, and a killed process leaves at most its last line incomplete.
 */
export class JsonLinesLog {
  readonly #path: string;
  readonly #file: number;
  readonly #newest: LogRecord[];

  private constructor(path: string, records: readonly LogRecord[]) {
    this.#path = path;
    this.#newest = records.slice(-newestCount);
    try {
      this.#file = openSync(path, "a");
    } catch (error) {
      throw fileError(path, "write", error);
    }
  }

  /**
   * Opens a log to go on after `step` updates: what it says about later ones is dropped, all at once, and written anew
   * by the run that goes on. Lines that are no JSON object are dropped too.
   *
   * @throws {FileError} when the file cannot be read or written.
   */
  static async open(path: string, step: number): Promise<JsonLinesLog> {
    const text = await readLog(path);
    const kept = parseLines(text).filter((record) => record.step <= step);
    const wanted = kept.map(formatLine).join("");
    if (wanted !== text) await writeFileAtomic(path, wanted);
    return new JsonLinesLog(path, kept);
  }

  /**
   * Adds a line. Numbers that are not finite become null.
   *
   * @throws {FileError} when the disk is full.
   */
  append(record: LogRecord): void {
    try {
      appendFileSync(this.#file, formatLine(record));
    } catch (error) {
      throw fileError(this.#path, "write", error);
    }
    this.#newest.push(record);
    if (this.#newest.length > newestCount) this.#newest.shift();
  }

  /** The last hundred lines, oldest first. */
  get newest(): readonly LogRecord[] {
    return this.#newest;
  }

  /** Ends writing. */
  close(): void {
    closeSync(this.#file);
  }
}

/**
 * The records of a log, oldest first; none where there is no file. An incomplete last line is left out.
 *
 * @throws {FileError} when the file cannot be read.
 */
export async function readLogRecords(path: string): Promise<LogRecord[]> {
  return parseLines(await readLog(path));
}

async function readLog(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "";
    throw fileError(path, "read", error);
  }
}

function parseLines(text: string): LogRecord[] {
  return text.split("\n").flatMap((line) => parseLogLine(line) ?? []);
}

/** The record of one line, or null where it is none. */
export function parseLogLine(line: string): LogRecord | null {
  try {
    const record: unknown = JSON.parse(line);
    const isRecord = typeof record === "object" && record !== null && "step" in record;
    return isRecord && typeof record.step === "number" ? (record as LogRecord) : null;
  } catch {
    return null;
  }
}

function formatLine(record: LogRecord): string {
  return `${JSON.stringify(record)}\n`;
}
