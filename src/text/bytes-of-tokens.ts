import { bytesOfSpelling } from "./byte-alphabet.ts";
import { ByteLevelBpe } from "./byte-level-bpe.ts";
import { byteToken } from "./byte-tokens.ts";
import { metaspace } from "./metaspace.ts";
import type { Tokenizer } from "./tokenizer.ts";

const utf8 = new TextEncoder();
const byteName = /^<0x([0-9A-F]{2})>$/;

/**
 * The bytes that each token adds to a text, by id: a byte of a character, a word, several. Null where an id is no token;
 * null for all where tokens are written otherwise than their texts, as by those that end words with a mark of their own.
 * The space that decoding may drop before a text's first word is there.
 */
export function bytesOfTokens(tokenizer: Tokenizer): (Uint8Array | null)[] | null {
  const { kind, roles } = tokenizer;
  const added = new Set(tokenizer.addedTokens.map(({ id }) => id));
  const unknown = roles.unk === undefined ? null : tokenizer.idOf(roles.unk);
  const spelled = spellingOf(tokenizer);
  if (!spelled) return null;
  return Array.from({ length: tokenizer.vocabularySize }, (_, id) => {
    const token = id === unknown ? null : tokenizer.tokenOf(id);
    if (token === null) return null;
    return kind === "byte-level-bpe" && added.has(id) ? utf8.encode(token) : spelled(token);
  });
}

/** How a kind's vocabulary spells the bytes of a token; null where it is otherwise. */
function spellingOf(tokenizer: Tokenizer): ((token: string) => Uint8Array) | null {
  switch (tokenizer.kind) {
    case "byte-level-bpe":
      if (tokenizer instanceof ByteLevelBpe && tokenizer.endOfWord !== null) return null;
      return (token) => bytesOfSpelling(token) ?? utf8.encode(token);
    case "characters":
      return (token) => utf8.encode(token);
    case "sentencepiece-bpe":
    case "unigram": {
      const probe = tokenizer.idOf(byteToken(0x41));
      const joinsBytes = probe !== null && tokenizer.decode([probe]) === "A";
      return (token) => (joinsBytes ? byteOf(token) : null) ?? utf8.encode(token.replaceAll(metaspace, " "));
    }
    default:
      return null;
  }
}

/** The byte that a token such as `<0x0A>` stands for, or null. */
function byteOf(token: string): Uint8Array | null {
  const byte = byteName.exec(token)?.[1];
  return byte === undefined ? null : Uint8Array.of(Number.parseInt(byte, 16));
}
