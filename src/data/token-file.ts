import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { endianness } from "node:os";
import { DataError } from "../core/errors.ts";
import { fileError } from "../files/file-error.ts";

/** How token ids are stored: little-endian unsigned integers without any header. */
export type TokenDtype = "uint16" | "uint32";

/** Bytes of one stored id. */
export const bytesPerToken: Readonly<Record<TokenDtype, number>> = { uint16: 2, uint32: 4 };

/** Token ids that can be read at any position. */
export interface TokenSequence {
  /** What messages call it. */
  readonly name: string;
  /** Number of tokens. */
  readonly length: number;
  /** Fills `into` with the tokens from `start` on. */
  read(start: number, into: Int32Array): void;
}

/** How much text some tokens stand for. */
export interface TextSize {
  /** Unicode code points. */
  readonly characters: number;
  /** Bytes of UTF-8. */
  readonly bytes: number;
}

/** What a token file holds. */
export interface TokenFileInfo extends TextSize {
  /** Tokens, those that end documents included. */
  readonly tokens: number;
  readonly documents: number;
  readonly dtype: TokenDtype;
  /** Token after every document, or null when the tokenizer has none. */
  readonly endOfText: number | null;
  /** One more than the highest id that can occur. */
  readonly vocabularySize: number;
  /** The text of the first token: a model predicts it only when an end-of-text token can stand before it. */
  readonly firstToken: TextSize;
}

/** A file of token ids, read by position, so that it may be larger than memory. */
export class TokenFile implements TokenSequence {
  readonly name: string;
  readonly path: string;
  readonly info: TokenFileInfo;
  readonly length: number;
  #file: number | null;
  #words: Uint16Array | Uint32Array = new Uint16Array(0);

  /**
   * Opens the file at `path`; it stays the same file until closed, whatever takes its name meanwhile.
   *
   * @throws {FileError} when it cannot be read.
   * @throws {DataError} when its size is not that of `info.tokens` tokens.
   */
  constructor(name: string, path: string, info: TokenFileInfo) {
    this.name = name;
    this.path = path;
    this.info = info;
    this.length = info.tokens;
    try {
      this.#file = openSync(path, "r");
    } catch (error) {
      throw fileError(path, "read", error);
    }
    const expected = info.tokens * bytesPerToken[info.dtype];
    const { size } = fstatSync(this.#file);
    if (size !== expected) {
      this.close();
      throw new DataError(`${path}: has ${size} bytes, ${expected} are expected; delete its folder to make it again`);
    }
  }

  /**
   * Fills `into` with the tokens from `start` on.
   *
   * @throws {FileError} when the file cannot be read.
   * @throws {DataError} when it became shorter.
   */
  read(start: number, into: Int32Array): void {
    if (this.#file === null) throw new Error(`internal: ${this.path} is closed`);
    if (start < 0 || start + into.length > this.length) {
      throw new RangeError(`internal: tokens ${start} to ${start + into.length} of ${this.length} in ${this.path}`);
    }
    const words = this.#scratch(into.length);
    const bytes = new Uint8Array(words.buffer, 0, words.byteLength);
    const size = bytesPerToken[this.info.dtype];
    for (let done = 0; done < bytes.length; ) {
      // Linux reads at most 2 GiB at once.
      const count = this.#readBytes(bytes, done, Math.min(bytes.length - done, 2 ** 30), start * size + done);
      if (count === 0)
        throw new DataError(`${this.path}: became shorter while in use; delete its folder and run again`);
      done += count;
    }
    if (endianness() === "BE") swapBytes(bytes, size);
    into.set(words);
  }

  /** Gives the file back to the system. Reading afterwards is an error; closing again does nothing. */
  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #readBytes(into: Uint8Array, offset: number, length: number, position: number): number {
    try {
      return readSync(this.#file!, into, offset, length, position);
    } catch (error) {
      throw fileError(this.path, "read", error);
    }
  }

  #scratch(length: number): Uint16Array | Uint32Array {
    if (this.#words.buffer.byteLength < length * bytesPerToken[this.info.dtype]) {
      this.#words = this.info.dtype === "uint16" ? new Uint16Array(length) : new Uint32Array(length);
    }
    const buffer = this.#words.buffer;
    return this.info.dtype === "uint16" ? new Uint16Array(buffer, 0, length) : new Uint32Array(buffer, 0, length);
  }
}

/** Token ids in memory, to be read like a file. */
export function memoryTokens(ids: Int32Array, name = "memory"): TokenSequence {
  return { name, length: ids.length, read: (start, into) => into.set(ids.subarray(start, start + into.length)) };
}

/** Turns words of `size` bytes from one byte order into the other. */
export function swapBytes(bytes: Uint8Array, size: number): void {
  for (let start = 0; start < bytes.length; start += size) bytes.subarray(start, start + size).reverse();
}
