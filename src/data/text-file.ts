import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { DataError } from "../core/errors.ts";
import { fileError, systemCode } from "../files/file-error.ts";

/** Bytes asked of a file at a time. */
const readBytes = 2 ** 18;

/**
 * The text of a UTF-8 file, piece by piece as it is read, without its byte order mark. What begins as gzip does is
 * decompressed. Pieces end between characters, and at no other place in particular.
 *
 * @throws {FileError} when the file cannot be read.
 * @throws {DataError} when the file is damaged gzip, or holds anything but UTF-8 text: a byte that
 * fits no character, or a NUL, which no text has. The message gives the offset, counted after decompression.
 */
export async function* readText(path: string): AsyncGenerator<string, void, undefined> {
  let position = 0;
  let carry: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of openBytes(path)) {
      const bytes = carry.length === 0 ? chunk : Buffer.concat([carry, chunk]);
      const whole = bytes.subarray(0, bytes.length - incompleteTail(bytes));
      checkText(path, whole, position, bytes);
      const text = whole.toString("utf8");
      const start = position === 0 && text.startsWith("\uFEFF") ? 1 : 0;
      if (text.length > start) yield text.slice(start);
      position += whole.length;
      carry = bytes.subarray(whole.length);
    }
  } catch (error) {
    throw gzipError(path, error) ?? fileError(path, "read", error);
  }
  if (carry.length > 0) throw invalidText(path, position, "the last character is cut off", carry);
}

/** The bytes of a file, decompressed where they begin as gzip does. */
async function* openBytes(path: string): AsyncGenerator<Buffer, void, undefined> {
  const file: AsyncIterable<Buffer> = createReadStream(path, { highWaterMark: readBytes });
  let start: Buffer = Buffer.alloc(0);
  const chunks = file[Symbol.asyncIterator]();
  while (start.length < 2) {
    const { value, done } = await chunks.next();
    if (done) break;
    start = Buffer.concat([start, value]);
  }
  const whole = joined(start, { [Symbol.asyncIterator]: () => chunks });
  const isGzip = start[0] === 0x1f && start[1] === 0x8b;
  // Errors of either stream reach the reader through the last one.
  yield* isGzip ? pipeline(Readable.from(whole), createGunzip({ chunkSize: readBytes }), () => {}) : whole;
}

async function* joined(start: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  yield start;
  yield* rest;
}

function gzipError(path: string, error: unknown): DataError | null {
  const code = systemCode(error);
  if (!code?.startsWith("Z_")) return null;
  const what = code === "Z_BUF_ERROR" ? "ends in the middle of its gzip data" : "is not valid gzip data";
  return new DataError(`${path}: ${what}; fetch or compress it again`, { cause: error });
}

function checkText(path: string, bytes: Buffer, position: number, head: Buffer): void {
  if (!isUtf8(bytes)) {
    const at = firstInvalidByte(bytes);
    const shown = `0x${(bytes[at] ?? 0).toString(16).padStart(2, "0")}`;
    throw invalidText(path, position + at, `byte ${shown} is not valid there`, position === 0 ? head : bytes);
  }
  const nul = bytes.indexOf(0);
  if (nul >= 0) throw invalidText(path, position + nul, "there is a NUL byte", position === 0 ? head : bytes);
}

function invalidText(path: string, offset: number, reason: string, head: Buffer): DataError {
  return new DataError(`${path}: is not UTF-8 text: at byte ${offset} ${reason}; ${remedy(head)}`);
}

/** What to do, as far as the first bytes of a file tell. */
function remedy(head: Buffer): string {
  const start = head.subarray(0, 4).toString("latin1");
  if (start.startsWith("\u00FF\u00FE") || start.startsWith("\u00FE\u00FF")) {
    return "it is UTF-16: convert it (iconv -f utf-16 -t utf-8 IN > OUT)";
  }
  if (head.includes(0)) return "it looks like a binary file: extract its text first";
  return "convert it (iconv -f latin1 -t utf-8 IN > OUT) or remove the damaged part";
}

/** How many bytes at the end begin a character that needs more than are there. */
function incompleteTail(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte >= 0xc0) return sequenceLength(byte) > back ? back : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

/** Bytes of the character that starts with `lead`; 0 when no character does. */
function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

/** Index of the first byte that begins no valid character; bytes are known to hold one. */
function firstInvalidByte(bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes[at] ?? 0);
    if (length === 0 || !isUtf8(bytes.subarray(at, at + length))) return at;
    at += length;
  }
  return at;
}
