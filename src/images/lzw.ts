/** Codes have at most so many bits. */
const mostBits = 12;

/**
 * Undoes GIF's Lempel-Ziv-Welch coding (GIF89a, appendix F).
 *
 * @param codeSize - Bits of an index: codes begin one bit wider.
 * @param length - Indices that are wanted; what comes behind is passed over.
 * @returns Null when a code cannot be, or there are fewer indices.
 */
export function lzwDecode(bytes: Uint8Array, codeSize: number, length: number): Uint8Array | null {
  const decoder = new LzwDecoder(codeSize, length);
  let [buffer, held] = [0, 0];
  for (const byte of bytes) {
    buffer |= byte << held;
    held += 8;
    while (held >= decoder.bits && !decoder.isFull) {
      const { bits } = decoder;
      if (!decoder.push(buffer & (2 ** bits - 1))) return null;
      buffer >>>= bits;
      held -= bits;
    }
    if (decoder.isFull) return decoder.out;
  }
  return null;
}

class LzwDecoder {
  readonly out: Uint8Array;
  /** Of the next code. */
  bits: number;
  readonly #clear: number;
  // An entry is its last index behind another entry.
  readonly #prefix = new Uint16Array(2 ** mostBits);
  readonly #last = new Uint8Array(2 ** mostBits);
  readonly #lengths = new Uint16Array(2 ** mostBits);
  #entries: number;
  /** The code before, or -1. */
  #previous = -1;
  #at = 0;

  constructor(codeSize: number, length: number) {
    this.out = new Uint8Array(length);
    this.bits = codeSize + 1;
    this.#clear = 2 ** codeSize;
    this.#entries = this.#clear + 2;
    for (let code = 0; code < this.#clear; code++) {
      this.#last[code] = code;
      this.#lengths[code] = 1;
    }
  }

  get isFull(): boolean {
    return this.#at >= this.out.length;
  }

  /** Whether the code can be. */
  push(code: number): boolean {
    if (code === this.#clear) {
      [this.#entries, this.#previous] = [this.#clear + 2, -1];
      this.bits = Math.log2(this.#clear) + 1;
      return true;
    }
    const limit = this.#previous < 0 ? this.#clear - 1 : this.#entries;
    if (code === this.#clear + 1 || code > limit) return false;
    if (this.#previous >= 0) this.#add(this.#first(code === this.#entries ? this.#previous : code));
    this.#write(code);
    this.#previous = code;
    return true;
  }

  /** A new entry: the code before, and an index behind. */
  #add(index: number): void {
    if (this.#entries === 2 ** mostBits) return;
    this.#prefix[this.#entries] = this.#previous;
    this.#last[this.#entries] = index;
    this.#lengths[this.#entries] = (this.#lengths[this.#previous] ?? 0) + 1;
    this.#entries++;
    if (this.#entries === 2 ** this.bits && this.bits < mostBits) this.bits++;
  }

  #first(code: number): number {
    let entry = code;
    while ((this.#lengths[entry] ?? 1) > 1) entry = this.#prefix[entry] ?? 0;
    return this.#last[entry] ?? 0;
  }

  #write(code: number): void {
    const length = this.#lengths[code] ?? 0;
    let entry = code;
    for (let place = this.#at + length - 1; place >= this.#at; place--) {
      if (place < this.out.length) this.out[place] = this.#last[entry] ?? 0;
      entry = this.#prefix[entry] ?? 0;
    }
    this.#at += length;
  }
}

/** GIF's coding of indices below 2^codeSize; the other way round than {@link lzwDecode}. */
export function lzwEncode(indices: Uint8Array, codeSize: number): Uint8Array {
  const out: number[] = [];
  const [clear, end] = [2 ** codeSize, 2 ** codeSize + 1];
  let [buffer, held, bits] = [0, 0, codeSize + 1];
  const emit = (code: number): void => {
    buffer |= code << held;
    for (held += bits; held >= 8; held -= 8, buffer >>>= 8) out.push(buffer & 255);
  };
  let entries = new Map<number, number>();
  let next = end + 1;
  let prefix = -1;
  emit(clear);
  for (const index of indices) {
    const key = prefix * 256 + index;
    const known = prefix < 0 ? index : entries.get(key);
    if (known !== undefined) {
      prefix = known;
      continue;
    }
    emit(prefix);
    if (next < 2 ** mostBits) {
      entries.set(key, next++);
      if (next > 2 ** bits && bits < mostBits) bits++;
    } else {
      emit(clear);
      [entries, next, bits] = [new Map(), end + 1, codeSize + 1];
    }
    prefix = index;
  }
  if (prefix >= 0) emit(prefix);
  emit(end);
  if (held > 0) out.push(buffer & 255);
  return Uint8Array.from(out);
}
