import { UnsupportedError } from "../../core/errors.ts";
import { bytesOfTokens } from "../../text/bytes-of-tokens.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { TokenTrie } from "./token-trie.ts";

/** A byte that no text in UTF-8 has: it stands before the name of a special token, which no text can then be taken for. */
export const specialMark = 0xff;

/** The tokens of a tokenizer as grammars read them; made once for each model. */
export class TokenVocabulary {
  readonly trie: TokenTrie;
  /** Length of the model's logits, which may have more rows than there are tokens. */
  readonly rows: number;

  /** @throws {UnsupportedError} when tokens of this kind are no bytes of a text. */
  constructor(tokenizer: Tokenizer, rows: number) {
    const bytes = bytesOfTokens(tokenizer);
    if (bytes === null) {
      throw new UnsupportedError(
        `grammar: a tokenizer of the kind ${tokenizer.kind} changes texts, so that answers cannot be held to a form; leave it out`,
      );
    }
    // What is no part of UTF-8 fits nowhere.
    for (const [id, own] of bytes.entries()) if (own?.some((byte) => byte >= 0xf8)) bytes[id] = null;
    for (const [name, id] of tokenizer.specialTokens) {
      bytes[id] = Uint8Array.of(specialMark, ...new TextEncoder().encode(name));
    }
    this.trie = new TokenTrie(bytes);
    this.rows = rows;
  }
}
