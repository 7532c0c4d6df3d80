import { bytesOfTokens } from "../text/bytes-of-tokens.ts";
import type { StreamDecoder, Tokenizer } from "../text/tokenizer.ts";

const utf8 = new TextEncoder();

/** What single tokens say in the midst of a text. */
export class TokenTexts {
  readonly #tokenizer: Tokenizer;
  readonly #known = new Map<number, string>();
  readonly #before: number | undefined;
  #bytes: readonly (Uint8Array | null)[] | null = null;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    this.#before = tokenizer.encode("a", { recognizeSpecialTokens: false }).at(-1);
  }

  /** Text of a token, a space that it begins with included; U+FFFD for a part of a character. */
  textOf(id: number): string {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const decoder = this.#tokenizer.streamDecoder();
    if (this.#before !== undefined) decoder.push(this.#before);
    const text = decoder.push(id) + decoder.flush();
    this.#known.set(id, text);
    return text;
  }

  /** A decoder of texts as they are, special tokens included. */
  decoder(): StreamDecoder {
    return this.#tokenizer.streamDecoder();
  }

  /** Bytes of a token; null where it has none of its own. */
  bytesOf(id: number): number[] | null {
    this.#bytes ??= bytesOfTokens(this.#tokenizer) ?? [];
    const own = this.#bytes[id];
    if (own) return [...own];
    const text = this.textOf(id);
    return text.includes("\ufffd") ? null : [...utf8.encode(text)];
  }
}
