/** What GPT-2's pattern tells apart: `\p{L}`, `\p{N}`, `\s`, and everything else. */
export const CharacterClass = { other: 0, letter: 1, number: 2, space: 3 } as const;

const pageSize = 256;
/** Classes of 256 code points at a time, filled when first asked for: most texts touch a handful of pages. */
const pages: (Uint8Array | undefined)[] = new Array(0x110000 / pageSize);

/** Classes of the 128 ASCII characters. */
export const asciiClasses: Uint8Array = page(0).subarray(0, 128);

/** The {@link CharacterClass} of a code point. White space is Unicode's White_Space, which JavaScript's `\s` is not. */
export function classOf(codePoint: number): number {
  const index = codePoint >>> 8;
  return (pages[index] ?? page(index))[codePoint & 0xff]!;
}

function page(index: number): Uint8Array {
  const classes = new Uint8Array(pageSize);
  for (let i = 0; i < pageSize; i++) classes[i] = classify(String.fromCodePoint(index * pageSize + i));
  pages[index] = classes;
  return classes;
}

function classify(character: string): number {
  if (/\p{L}/u.test(character)) return CharacterClass.letter;
  if (/\p{N}/u.test(character)) return CharacterClass.number;
  return /\p{White_Space}/u.test(character) ? CharacterClass.space : CharacterClass.other;
}
