import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { LogPart } from "../api/job-answers.ts";
import { jobFiles, openOwnFile } from "./job-record.ts";

/** Bytes of a part, at most. */
const partBytes = 64 * 1024;

/** Bytes that the last line is looked for in. */
const tailBytes = 4 * 1024;

/**
 * What a job said since a byte of its log, at most the newest `most` bytes. It ends with a whole character: the rest of one that is
 * still being written comes with the next part.
 */
export async function readLog(folder: string, from: number, most = partBytes): Promise<LogPart> {
  const file = await openOwnFile(join(folder, jobFiles.log));
  if (file === null) return { text: "", from: 0, next: 0 };
  try {
    const { size } = await file.stat();
    const start = Math.max(from > size ? 0 : from, size - most);
    const bytes = await readBytes(file, start, size - start);
    const first = start === from ? 0 : bytes.findIndex((byte) => !isContinuation(byte));
    const whole = bytes.subarray(Math.max(first, 0), wholeCharacters(bytes));
    return {
      text: new TextDecoder().decode(whole),
      from: start + Math.max(first, 0),
      next: start + wholeCharacters(bytes),
    };
  } finally {
    await file.close();
  }
}

/** The last line with something in it, or "". */
export async function readLastLine(folder: string): Promise<string> {
  const { text } = await readLog(folder, 0, tailBytes);
  const line =
    text
      .trimEnd()
      .split(/[\r\n]/)
      .at(-1) ?? "";
  return line.length > longestLine ? `${line.slice(0, longestLine)}…` : line;
}

/** Characters of a line that is shown among others. */
const longestLine = 300;

async function readBytes(file: FileHandle, start: number, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  const { bytesRead } = await file.read(bytes, 0, count, start);
  return bytes.subarray(0, bytesRead);
}

/** Number of bytes before a character that is not complete; all of them where they end with no beginning of one. */
function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (isContinuation(byte)) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
