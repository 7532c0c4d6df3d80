/**
 * Numbers distinct words, which are byte sequences, in the order of their first appearance. Words are looked up by
 * their bytes where they lie, so that finding a known word allocates nothing.
 */
export class WordTable {
  #arena = new Uint8Array(1 << 14);
  #starts = new Uint32Array(1 << 10);
  #hashes = new Int32Array(1 << 10);
  /** Open addressing: a word's number plus one, or 0. */
  #slots = new Int32Array(1 << 11);
  #size = 0;

  /** Number of distinct words. */
  get size(): number {
    return this.#size;
  }

  /** Bytes of all words together. */
  get byteLength(): number {
    return this.#starts[this.#size]!;
  }

  /** The number of the word `bytes[start … end)`; a new word gets the next number. */
  indexOf(bytes: Uint8Array, start: number, end: number): number {
    const hash = hashBytes(bytes, start, end);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (let entry = this.#slots[slot]!; entry !== 0; entry = this.#slots[slot]!) {
      if (this.#hashes[entry - 1] === hash && this.#holds(entry - 1, bytes, start, end)) return entry - 1;
      slot = (slot + 1) & mask;
    }
    this.#slots[slot] = this.#size + 1;
    return this.#append(bytes, start, end, hash);
  }

  /** Bytes of a word; valid until the next word is added. */
  bytesOf(index: number): Uint8Array {
    return this.#arena.subarray(this.#starts[index], this.#starts[index + 1]);
  }

  /** Forgets all words and keeps the memory. */
  clear(): void {
    this.#size = 0;
    this.#slots.fill(0);
  }

  #holds(index: number, bytes: Uint8Array, start: number, end: number): boolean {
    const from = this.#starts[index]!;
    if (this.#starts[index + 1]! - from !== end - start) return false;
    const shift = from - start;
    for (let at = start; at < end; at++) if (this.#arena[at + shift] !== bytes[at]) return false;
    return true;
  }

  #append(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const index = this.#size;
    const from = this.#starts[index]!;
    const to = from + end - start;
    if (to > this.#arena.length) this.#arena = enlarged(this.#arena, new Uint8Array(Math.max(to, from * 2)));
    this.#arena.set(bytes.subarray(start, end), from);
    if (index + 2 > this.#starts.length) {
      this.#starts = enlarged(this.#starts, new Uint32Array(this.#starts.length * 2));
      this.#hashes = enlarged(this.#hashes, new Int32Array(this.#starts.length));
    }
    this.#starts[index + 1] = to;
    this.#hashes[index] = hash;
    this.#size = index + 1;
    if (this.#size * 2 > this.#slots.length) this.#rehash();
    return index;
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let index = 0; index < this.#size; index++) {
      let slot = this.#hashes[index]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = index + 1;
    }
    this.#slots = slots;
  }
}

function enlarged<Store extends Uint8Array | Uint32Array | Int32Array>(old: Store, larger: Store): Store {
  larger.set(old);
  return larger;
}

/** FNV-1a, with the high bits folded into the low ones that choose the slot. */
function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash ^ (hash >>> 15);
}
