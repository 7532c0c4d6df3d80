/**
 * GPT-2's way to write bytes as text: printable Latin-1 characters stand for themselves, the other 68 bytes for the
 * characters from U+0100 on, in order. A space is `Ġ`, a newline `Ċ`.
 *
 * @see Radford et al. (2019), section 2.2, and the encoder published with it.
 */
const characterOfByte: readonly string[] = alphabet();

const byteOfCharacter: ReadonlyMap<string, number> = new Map(
  characterOfByte.map((character, byte) => [character, byte]),
);

/** The 256 characters in the order of their code points, which is the order of ids 0 … 255 in GPT-2's vocabulary. */
export const byteLevelAlphabet: readonly string[] = [...characterOfByte].sort(
  (a, b) => a.charCodeAt(0) - b.charCodeAt(0),
);

/** Bytes as a vocabulary spells them. */
export function spellBytes(bytes: Iterable<number>): string {
  let token = "";
  for (const byte of bytes) token += characterOfByte[byte];
  return token;
}

/** The bytes that a token of a byte-level vocabulary stands for, or null when it has a character of no byte. */
export function bytesOfSpelling(token: string): Uint8Array | null {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfCharacter.get(token[i]!);
    if (byte === undefined) return null;
    bytes[i] = byte;
  }
  return bytes;
}

function alphabet(): string[] {
  let substitutes = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    return String.fromCharCode(isPrintable ? byte : 0x100 + substitutes++);
  });
}
