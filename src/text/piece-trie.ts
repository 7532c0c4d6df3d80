/** Pieces of text by their UTF-16 units: finds all that begin at a place, the shortest first. */
export class PieceTrie {
  /** Open addressing: `node · 2¹⁶ + unit` plus one, or 0. */
  #keys = new Float64Array(1 << 12);
  #children = new Int32Array(1 << 12);
  /** The number of the piece that ends at each node, or −1. */
  #pieces = new Int32Array(1 << 11).fill(-1);
  #nodes = 1;

  /** Adds a piece; the last of equal ones counts. */
  add(piece: string, number: number): void {
    let node = 0;
    for (let i = 0; i < piece.length; i++) node = this.#childOrNew(node, piece.charCodeAt(i));
    this.#pieces[node] = number;
  }

  /** The node below `node` (0 is the root) for a unit, or 0 where no piece goes on. */
  child(node: number, unit: number): number {
    return this.#children[this.#slot(node, unit)]!;
  }

  /** The number of the piece that ends at a node, or −1. */
  pieceAt(node: number): number {
    return this.#pieces[node]!;
  }

  #childOrNew(node: number, unit: number): number {
    const slot = this.#slot(node, unit);
    if (this.#children[slot] !== 0) return this.#children[slot]!;
    const added = this.#nodes++;
    this.#keys[slot] = node * 0x10000 + unit + 1;
    this.#children[slot] = added;
    if (added >= this.#pieces.length) this.#growPieces();
    if (this.#nodes * 2 > this.#keys.length) this.#rehash();
    return added;
  }

  #slot(node: number, unit: number): number {
    const mask = this.#keys.length - 1;
    const key = node * 0x10000 + unit + 1;
    const hash = Math.imul(node ^ Math.imul(unit, 0x85ebca6b), 0x9e3779b1);
    let slot = (hash ^ (hash >>> 15)) & mask;
    while (this.#keys[slot] !== 0 && this.#keys[slot] !== key) slot = (slot + 1) & mask;
    return slot;
  }

  #growPieces(): void {
    const larger = new Int32Array(this.#pieces.length * 2).fill(-1);
    larger.set(this.#pieces);
    this.#pieces = larger;
  }

  #rehash(): void {
    const [keys, children] = [this.#keys, this.#children];
    this.#keys = new Float64Array(keys.length * 2);
    this.#children = new Int32Array(keys.length * 2);
    for (const [i, key] of keys.entries()) {
      if (key === 0) continue;
      const slot = this.#slot(Math.floor((key - 1) / 0x10000), (key - 1) % 0x10000);
      this.#keys[slot] = key;
      this.#children[slot] = children[i]!;
    }
  }
}
