import { CheckpointError } from "../core/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import type { GgufNumberType, NumberArray } from "./gguf-values.ts";
import { numberArrays } from "./gguf-values.ts";

/** Thrown, and caught in this file, when a header turns out to be longer than what was read of it. */
class NeedsMore extends Error {
  readonly bytes: number;

  constructor(bytes: number) {
    super("internal: the header is longer");
    this.bytes = bytes;
  }
}

const firstRead = 1 << 20;
const longestHeader = 1 << 28;
/** Bytes of the number that precedes a text. */
const lengthBytes = 8;
/** Bytes of a text for which a decoder takes longer to start than to read them one by one. */
const shortText = 24;

/** A position in the first bytes of a file. Every read is checked against the file's size before it is made. */
export class HeaderCursor {
  /** How messages name the file. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Bytes read so far. */
  position = 0;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  /** `bytes` are the first of a file of `sizeBytes`. */
  constructor(name: string, bytes: Uint8Array<ArrayBuffer>, sizeBytes: number) {
    this.name = name;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.sizeBytes = sizeBytes;
  }

  uint32(): number {
    const at = this.#advance(4);
    return this.#view.getUint32(at, true);
  }

  /** A number of 64 bits that must be a safe integer. */
  uint64(what: string): number {
    const at = this.#advance(8);
    const value = this.#view.getUint32(at, true) + 2 ** 32 * this.#view.getUint32(at + 4, true);
    if (!Number.isSafeInteger(value)) throw this.damaged(`claims ${this.#view.getBigUint64(at, true)} as ${what}`);
    return value;
  }

  /** How many things follow, each of at least `bytesEach` bytes. */
  count(bytesEach: number, what: string): number {
    const value = this.uint64(what);
    if (value * bytesEach > this.sizeBytes - this.position) {
      throw this.damaged(`claims ${value} ${what} at byte ${this.position} of ${this.sizeBytes}`);
    }
    return value;
  }

  /** Text of at most `limit` bytes, preceded by its length. */
  string(limit: number, what: string): string {
    const length = this.count(1, `bytes of a ${what}`);
    if (length > limit) throw this.damaged(`has a ${what} of ${length} bytes, at most ${limit} are possible`);
    const bytes = this.#take(length);
    if (length <= shortText && bytes.every((byte) => byte < 128)) return String.fromCharCode(...bytes);
    try {
      return this.#decoder.decode(bytes);
    } catch (cause) {
      throw this.damaged(`the ${what} at byte ${this.position} is not valid UTF-8`, { cause });
    }
  }

  /** So many texts, each preceded by its length. A vocabulary has hundreds of thousands: they are decoded all at once. */
  strings(count: number, what: string): string[] {
    const start = this.position;
    const lengths = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const length = this.count(1, `bytes of a ${what}`);
      this.#advance(length);
      lengths[i] = length;
    }
    const texts = this.#joinedTexts(start, lengths);
    if (texts) return texts;
    this.position = start;
    return Array.from(lengths, () => this.string(Number.MAX_SAFE_INTEGER, what)); // says which it is
  }

  /** A copy of so many numbers. */
  numbers(type: GgufNumberType, length: number): NumberArray {
    const array = numberArrays[type];
    return new array(this.#take(length * array.BYTES_PER_ELEMENT).slice().buffer);
  }

  /** The error of a file that contradicts itself. */
  damaged(fault: string, options?: ErrorOptions): CheckpointError {
    return new CheckpointError(`${this.name}: ${fault}; the file is damaged, fetch or write it again`, options);
  }

  /** Texts of so many bytes, each behind its length, or null when one is not valid UTF-8. */
  #joinedTexts(start: number, lengths: Uint32Array): string[] | null {
    const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
    let [from, to] = [start, 0];
    for (const length of lengths) {
      from += lengthBytes;
      // Together with the end of the text before, a text that begins inside a character might be valid.
      if (length > 0 && isInsideCharacter(this.#bytes[from] ?? 0)) return null;
      bytes.set(this.#bytes.subarray(from, from + length), to);
      from += length;
      to += length;
    }
    try {
      return cutTexts(this.#decoder.decode(bytes), bytes, lengths);
    } catch {
      return null;
    }
  }

  #take(length: number): Uint8Array<ArrayBuffer> {
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Where the next bytes begin, once it is sure that they are there. */
  #advance(length: number): number {
    const at = this.position;
    const end = at + length;
    if (end > this.sizeBytes) {
      throw new CheckpointError(
        `${this.name}: ends at byte ${this.sizeBytes}, in the middle of its header; it is truncated, fetch or write it again`,
      );
    }
    if (end > this.#bytes.length) throw new NeedsMore(end);
    this.position = end;
    return at;
  }
}

/**
 * Parses a header whose length is only known at its end, reading more of the file until it is whole.
 *
 * @throws {CheckpointError} what `parse` throws, or when the header is longer than 256 MiB.
 */
export async function parseGrowing<Header>(
  source: ByteSource,
  parse: (cursor: HeaderCursor) => Header,
): Promise<Header> {
  for (let wanted = firstRead; ; ) {
    const bytes = new Uint8Array(Math.min(wanted, source.sizeBytes));
    await source.read(bytes, 0);
    try {
      return parse(new HeaderCursor(source.name, bytes, source.sizeBytes));
    } catch (error) {
      if (!(error instanceof NeedsMore)) throw error;
      if (error.bytes > longestHeader) {
        throw new CheckpointError(`${source.name}: has a header of more than ${longestHeader} bytes, too long to read`);
      }
      wanted = Math.min(longestHeader, Math.max(8 * bytes.length, error.bytes));
    }
  }
}

/** Whether a byte of UTF-8 is not the first of a character. */
function isInsideCharacter(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/** A text whose bytes are given, cut into pieces of so many bytes. */
function cutTexts(text: string, bytes: Uint8Array, lengths: Uint32Array): string[] {
  const texts: string[] = [];
  let [at, position] = [0, 0];
  for (const length of lengths) {
    const begin = position;
    for (const end = at + length; at < end; at++) {
      const byte = bytes[at] ?? 0;
      // Characters of four bytes are two units of a string.
      if (!isInsideCharacter(byte)) position += byte >= 0xf0 ? 2 : 1;
    }
    texts.push(text.slice(begin, position));
  }
  return texts;
}
