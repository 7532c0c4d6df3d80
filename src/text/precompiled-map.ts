import { CheckpointError } from "../core/errors.ts";

/** Longer clusters, in bytes of UTF-8, are only looked up character by character. */
const longestCluster = 5;
/** Text in which no characters make a cluster; finding clusters is slow. */
const loneCharacters = /^[\t\n\x20-\x7e]*$/;
/** Characters of a part of text, at least. */
const partLength = 512;
/**
 * Two characters that never join with each other: ASCII, letters of Latin, Greek, Cyrillic, Hebrew, Arabic, Devanagari and Thai
 * that are no marks, kana, Han, and syllables of Hangul.
 */
const bothAlone = /^[ -~À-ɏΑ-ωА-џא-תؠ-يअ-हก-ฮぁ-ゖァ-ヺ一-鿿가-힣]{2}$/u;
const utf8 = new TextEncoder();
const strings = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * SentencePiece's map of characters to what they are normalized to, such as `nmt_nfkc` of T5 and XLM-R: a double-array
 * trie (Darts) over UTF-8, whose values are offsets into strings that end in 0. In a file: bytes of the trie, the trie as
 * 32-bit words, the strings.
 *
 * @see Kudo and Richardson (2018), arXiv:1808.06226, section 3.2; Aoe (1989), "An efficient digital search algorithm by
 * using a double-array structure".
 */
export class PrecompiledMap {
  readonly #units: Uint32Array;
  readonly #strings: Uint8Array;
  readonly #clusters = new Intl.Segmenter("und", { granularity: "grapheme" });
  readonly #memory = new Map<string, string | null>();

  /**
   * @param charsmap - The map in base64, as in `tokenizer.json`.
   * @throws {CheckpointError} naming `where`, when it is damaged.
   */
  constructor(charsmap: string, where: string) {
    const bytes = bytesOf(charsmap, where);
    const view = new DataView(bytes.buffer);
    const size = bytes.length < 4 ? -1 : view.getUint32(0, true);
    if (size < 4 || size % 4 !== 0 || 4 + size > bytes.length) throw damaged(where);
    this.#units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
    this.#strings = bytes.subarray(4 + size);
  }

  /** Text with every character, or cluster of characters, as the map has it; others stay. */
  normalize(original: string): string {
    let normal = "";
    if (loneCharacters.test(original)) for (const character of original) normal += this.#mapped(character) ?? character;
    else {
      for (const part of partsOf(original)) {
        for (const { segment } of this.#clusters.segment(part)) normal += this.#cluster(segment);
      }
    }
    return normal;
  }

  #cluster(cluster: string): string {
    const whole = utf8Length(cluster) <= longestCluster ? this.#mapped(cluster) : null;
    if (whole !== null) return whole;
    let normal = "";
    for (const character of cluster) normal += this.#mapped(character) ?? character;
    return normal;
  }

  #mapped(key: string): string | null {
    const known = this.#memory.get(key);
    if (known !== undefined) return known;
    const found = this.#lookUp(utf8.encode(key));
    if (this.#memory.size < 1 << 16) this.#memory.set(key, found);
    return found;
  }

  /** What the shortest beginning of a key that the map knows becomes, or null. */
  #lookUp(key: Uint8Array): string | null {
    let place = offsetOf(this.#units[0]!);
    for (const byte of key) {
      if (byte === 0) return null;
      place ^= byte;
      const unit = this.#units[place] ?? 0;
      if ((unit & 0x800000ff) !== byte) return null;
      place ^= offsetOf(unit);
      if ((unit >>> 8) & 1) return this.#stringAt((this.#units[place] ?? 0) & 0x7fffffff);
    }
    return null;
  }

  #stringAt(start: number): string {
    const end = this.#strings.indexOf(0, start);
    return strings.decode(this.#strings.subarray(start, end < 0 ? undefined : end));
  }
}

/**
 * Text in parts between which no cluster of characters lies. Finding the clusters of a whole text takes time that grows with
 * the square of its length.
 */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + partLength, text.length);
    while (end < text.length && !bothAlone.test(text.slice(end - 1, end + 1))) end += 1;
    parts.push(text.slice(start, end));
    start = end;
  }
  return parts;
}

/** Where the children of a unit lie, relative to it. */
function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

function utf8Length(cluster: string): number {
  return cluster.length > longestCluster ? cluster.length : utf8.encode(cluster).length;
}

function bytesOf(charsmap: string, where: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(charsmap), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw damaged(where, { cause });
  }
}

function damaged(where: string, options?: ErrorOptions): CheckpointError {
  return new CheckpointError(
    `${where}: precompiled_charsmap is no map of characters in base64; the file is damaged, fetch or write it again`,
    options,
  );
}
