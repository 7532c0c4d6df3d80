/** When this many words are remembered, all are forgotten: bounds the memory at some 20 MB. */
const mostRemembered = 1 << 16;

/** Remembers the ids of words, most of which occur again and again. */
export class WordMemory {
  readonly #words = new Map<string, readonly number[]>();
  readonly #encode: (word: string) => readonly number[];

  /** `encode` gives the ids of a word that is not remembered. */
  constructor(encode: (word: string) => readonly number[]) {
    this.#encode = encode;
  }

  /** Ids of a word. */
  idsOf(word: string): readonly number[] {
    const known = this.#words.get(word);
    if (known) return known;
    const ids = this.#encode(word);
    if (this.#words.size >= mostRemembered) this.#words.clear();
    this.#words.set(word, ids);
    return ids;
  }
}
