import { bytesOfSpelling } from "./byte-alphabet.ts";
import type { DecodeOptions, StreamDecoder } from "./tokenizer.ts";
import type { Vocabulary } from "./vocabulary.ts";

const utf8 = new TextEncoder();
const noBytes = new Uint8Array(0);

/** The bytes of every token of a byte-level vocabulary, and decoding with them. */
export class TokenBytes {
  readonly #bytes: Uint8Array;
  /** Where each token's bytes begin; one entry more than there are ids. */
  readonly #starts: Uint32Array;
  readonly #vocabulary: Vocabulary;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    const added = new Set(vocabulary.addedTokens.map((token) => token.id));
    const tokens = Array.from({ length: vocabulary.size }, (_, id) => {
      const token = vocabulary.tokenOf(id) ?? "";
      // Added tokens are spelled as themselves, not in the byte alphabet.
      return (added.has(id) ? null : bytesOfSpelling(token)) ?? utf8.encode(token);
    });
    this.#starts = new Uint32Array(tokens.length + 1);
    for (const [id, bytes] of tokens.entries()) this.#starts[id + 1] = this.#starts[id]! + bytes.length;
    this.#bytes = new Uint8Array(this.#starts[tokens.length]!);
    for (const [id, bytes] of tokens.entries()) this.#bytes.set(bytes, this.#starts[id]);
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
    const isToken = this.#vocabulary.tokenOf(id) !== null;
    return isToken ? this.#bytes.subarray(this.#starts[id], this.#starts[id + 1]) : noBytes;
  }
}

/** A decoder that keeps a byte order mark: it is a character of the text like any other. */
function newDecoder() {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}
