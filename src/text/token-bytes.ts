import { bytesOfSpelling } from "./byte-alphabet.ts";
import type { DecodeOptions, StreamDecoder } from "./tokenizer.ts";
import type { Vocabulary } from "./vocabulary.ts";

const utf8 = new TextEncoder();
const noBytes = new Uint8Array(0);

/** The bytes of the tokens of a byte-level vocabulary, and decoding with them. */
export class TokenBytes {
  /** By id, of tokens that were asked for: most of a large vocabulary never are. */
  readonly #bytes: (Uint8Array | undefined)[];
  readonly #vocabulary: Vocabulary;
  readonly #added: ReadonlySet<number>;
  readonly #endOfWord: string | null;

  /** @param endOfWord - What tokens end with that end a word, for which there is a space; null for nothing. */
  constructor(vocabulary: Vocabulary, endOfWord: string | null = null) {
    this.#vocabulary = vocabulary;
    this.#endOfWord = endOfWord;
    this.#bytes = new Array(vocabulary.size);
    this.#added = new Set(vocabulary.addedTokens.map((token) => token.id));
  }

  /** As {@link Tokenizer.decode}. */
  decode(ids: Iterable<number>, options: DecodeOptions): string {
    const kept = options.skipSpecialTokens ? [...ids].filter((id) => !this.#vocabulary.isSpecial(id)) : [...ids];
    let length = 0;
    for (const id of kept) length += this.#bytesOf(id).length;
    const text = new Uint8Array(length);
    let at = 0;
    for (const id of kept) {
      const bytes = this.#bytesOf(id);
      text.set(bytes, at);
      at += bytes.length;
    }
    return newDecoder().decode(text);
  }

  /** As {@link Tokenizer.streamDecoder}. */
  streamDecoder(options: DecodeOptions): StreamDecoder {
    const decoder = newDecoder();
    return {
      push: (id) => {
        const bytes = this.#bytesOf(id);
        if (options.skipSpecialTokens && this.#vocabulary.isSpecial(id)) return "";
        return decoder.decode(bytes, { stream: true });
      },
      flush: () => decoder.decode(),
    };
  }

  #bytesOf(id: number): Uint8Array {
    const known = this.#bytes[id];
    if (known) return known;
    const token = this.#vocabulary.tokenOf(id);
    if (token === null) return noBytes;
    // Added tokens are spelled as themselves, not in the byte alphabet.
    const bytes = this.#added.has(id) ? utf8.encode(token) : this.#bytesOfToken(token);
    this.#bytes[id] = bytes;
    return bytes;
  }

  #bytesOfToken(token: string): Uint8Array {
    const end = this.#endOfWord;
    if (end === null || !token.endsWith(end)) return bytesOfSpelling(token) ?? utf8.encode(token);
    const word = token.slice(0, -end.length);
    return Uint8Array.of(...(bytesOfSpelling(word) ?? utf8.encode(word)), 0x20);
  }
}

/** A decoder that keeps a byte order mark: it is a character of the text like any other. */
function newDecoder() {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}
