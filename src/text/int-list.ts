/** A list of 32-bit integers that grows. */
export class IntList {
  #values: Int32Array;
  #length = 0;

  constructor(capacity = 16) {
    this.#values = new Int32Array(Math.max(1, capacity));
  }

  /** Number of values. */
  get length(): number {
    return this.#length;
  }

  /** Value at `index`, which must exist. */
  at(index: number): number {
    return this.#values[index]!;
  }

  /** Overwrites the value at `index`, which must exist. */
  set(index: number, value: number): void {
    this.#values[index] = value;
  }

  /** Adds one value at the end. */
  push(value: number): void {
    if (this.#length === this.#values.length) this.#reserve(1);
    this.#values[this.#length++] = value;
  }

  /** Adds `values[from … to)` at the end. */
  append(values: Int32Array, from: number, to: number): void {
    if (this.#length + to - from > this.#values.length) this.#reserve(to - from);
    // Words have a handful of tokens, for which a loop beats a view and its copy.
    for (let i = from; i < to; i++) this.#values[this.#length++] = values[i]!;
  }

  /** Adds the values `[from … to)` of another list at the end. */
  appendFrom(list: IntList, from: number, to: number): void {
    this.append(list.#values, from, to);
  }

  /** Removes all values and keeps the memory. */
  clear(): void {
    this.#length = 0;
  }

  /** A copy of the values, no larger than they are. */
  toArray(): Int32Array {
    return this.#values.slice(0, this.#length);
  }

  #reserve(more: number): void {
    const larger = new Int32Array(Math.max(this.#length + more, this.#values.length * 2));
    larger.set(this.#values);
    this.#values = larger;
  }
}
