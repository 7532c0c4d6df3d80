import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { endianness } from "node:os";
import { documentStart } from "../text/text-bounds.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { endOfWord } from "./documents.ts";
import type { TextSize, TokenDtype, TokenFileInfo } from "./token-file.ts";
import { bytesPerToken, swapBytes } from "./token-file.ts";

const bufferTokens = 2 ** 18;

/** Text without a place to cut is cut by force at this length, in UTF-16 units. */
const maxPending = 2 ** 24;

/** How a {@link TokenWriter} turns text into ids. */
export interface WriterOptions {
  readonly tokenizer: Tokenizer;
  /** Whether the text of a special token becomes that token. */
  readonly recognizeSpecialTokens: boolean;
}

/** Encodes documents into a new token file, piece by piece. */
export class TokenWriter {
  readonly #file: FileHandle;
  readonly #options: WriterOptions;
  readonly #dtype: TokenDtype;
  readonly #words: Uint16Array | Uint32Array;
  #filled = 0;
  #pending = "";
  #inDocument = false;
  /** Whether ids of the document in hand have been written. */
  #begun = false;
  #tokens = 0;
  #documents = 0;
  #characters = 0;
  #bytes = 0;
  #firstToken: TextSize = { characters: 0, bytes: 0 };

  private constructor(file: FileHandle, options: WriterOptions) {
    this.#file = file;
    this.#options = options;
    this.#dtype = options.tokenizer.vocabularySize <= 2 ** 16 ? "uint16" : "uint32";
    this.#words = this.#dtype === "uint16" ? new Uint16Array(bufferTokens) : new Uint32Array(bufferTokens);
  }

  /** Makes the file, which must not exist. */
  static async create(path: string, options: WriterOptions): Promise<TokenWriter> {
    return new TokenWriter(await open(path, "wx"), options);
  }

  /** Tokens so far. */
  get tokens(): number {
    return this.#tokens;
  }

  /** Adds text to the document in hand, or begins one with it. */
  async write(text: string): Promise<void> {
    if (text === "") return;
    this.#inDocument = true;
    this.#pending += text;
    // Short documents are encoded once, when they end.
    if (this.#pending.length < 2 ** 16) return;
    const cut = this.#options.tokenizer.cutPoint(this.#pending);
    const place = cut === 0 && this.#pending.length > maxPending ? endOfWord(this.#pending) : cut;
    if (place > 0) await this.#encodeUpTo(place);
  }

  /** Ends the document in hand, if there is one, with the tokenizer's end-of-text token, if it has one. */
  async endDocument(): Promise<void> {
    if (!this.#inDocument) return;
    await this.#encodeUpTo(this.#pending.length);
    const { endOfText } = this.#options.tokenizer;
    if (endOfText !== null) await this.#append(Int32Array.of(endOfText));
    this.#inDocument = false;
    this.#begun = false;
    this.#documents += 1;
  }

  /** Flushes the file to disk, closes it and says what it holds. */
  async finish(): Promise<TokenFileInfo> {
    await this.endDocument();
    await this.#flush();
    await this.#file.sync();
    await this.close();
    const { endOfText, vocabularySize } = this.#options.tokenizer;
    return {
      tokens: this.#tokens,
      documents: this.#documents,
      characters: this.#characters,
      bytes: this.#bytes,
      dtype: this.#dtype,
      endOfText,
      vocabularySize,
      firstToken: this.#firstToken,
    };
  }

  /** Closes the file, finished or not. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  async #encodeUpTo(place: number): Promise<void> {
    const { tokenizer, recognizeSpecialTokens } = this.#options;
    const text = this.#pending.slice(0, place);
    const ids = tokenizer.encode(text, { recognizeSpecialTokens, continues: this.#begun });
    if (!this.#begun) await this.#append(Int32Array.from(documentStart(tokenizer)));
    this.#begun = true;
    const { characters, bytes } = textSize(text);
    this.#characters += characters;
    this.#bytes += bytes;
    if (this.#tokens === 0 && ids.length > 0) this.#firstToken = textSize(tokenizer.decode(ids.subarray(0, 1)));
    this.#pending = this.#pending.slice(place);
    await this.#append(ids);
  }

  async #append(ids: Int32Array): Promise<void> {
    const { vocabularySize } = this.#options.tokenizer;
    // Stored words would silently lose the upper bits of an id that is too large.
    const wrong = ids.find((id) => id < 0 || id >= vocabularySize);
    if (wrong !== undefined) throw new Error(`internal: token ${wrong} is outside 0 … ${vocabularySize - 1}`);
    for (let done = 0; done < ids.length; ) {
      if (this.#filled === bufferTokens) await this.#flush();
      const part = ids.subarray(done, done + bufferTokens - this.#filled);
      this.#words.set(part, this.#filled);
      this.#filled += part.length;
      done += part.length;
    }
    this.#tokens += ids.length;
  }

  async #flush(): Promise<void> {
    const bytes = new Uint8Array(this.#words.buffer, 0, this.#filled * bytesPerToken[this.#dtype]);
    if (endianness() === "BE") swapBytes(bytes, bytesPerToken[this.#dtype]);
    for (let done = 0; done < bytes.length; ) {
      done += (await this.#file.write(bytes, done, bytes.length - done)).bytesWritten;
    }
    this.#filled = 0;
  }
}

/** Length of a text in the two units in which losses are quoted. */
function textSize(text: string): TextSize {
  const bytes = Buffer.byteLength(text, "utf8");
  if (bytes === text.length) return { characters: bytes, bytes };
  let pairs = 0;
  for (let at = 0; at < text.length; at++) {
    if ((text.codePointAt(at) ?? 0) > 0xffff) pairs += 1;
  }
  return { characters: text.length - pairs, bytes };
}
