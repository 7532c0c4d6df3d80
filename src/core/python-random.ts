const [size, shift] = [624, 397];

/**
 * Python's `random.Random`, number for number: for choices that must be those of a program in Python. Everything else
 * draws from {@link Random}.
 *
 * @see Matsumoto & Nishimura (1998), "Mersenne twister", with the initialisation by an array of 2002.
 */
export class PythonRandom {
  readonly #state = new Uint32Array(size);
  #next = size;

  /** @param seed - A whole number from 0 on. */
  constructor(seed: number) {
    const high = Math.floor(seed / 2 ** 32);
    this.#initialise(high > 0 ? [seed >>> 0, high] : [seed >>> 0]);
  }

  /** 0 ≤ x < 1, with 53 bits. */
  random(): number {
    return ((this.#bits() >>> 5) * 2 ** 26 + (this.#bits() >>> 6)) / 2 ** 53;
  }

  /** 0 ≤ i < `count`, where 0 < count < 2³². */
  below(count: number): number {
    const drop = Math.clz32(count);
    let drawn = this.#bits() >>> drop;
    while (drawn >= count) drawn = this.#bits() >>> drop;
    return drawn;
  }

  /** `count` of the items, none twice, in the order in which they were drawn: `random.sample`. */
  sample<Item>(items: readonly Item[], count: number): Item[] {
    if (count > items.length) throw new RangeError(`sample: ${count} of ${items.length} items`);
    const pool = [...items];
    const smallest = 21 + (count > 5 ? 4 ** Math.ceil(Math.log(count * 3) / Math.log(4)) : 0);
    const out: Item[] = [];
    if (items.length <= smallest) {
      for (let left = items.length; out.length < count; left--) {
        const at = this.below(left);
        out.push(pool[at] as Item);
        pool[at] = pool[left - 1] as Item;
      }
      return out;
    }
    const taken = new Set<number>();
    while (taken.size < count) taken.add(this.below(items.length));
    return Array.from(taken, (at) => pool[at] as Item);
  }

  #initialise(key: readonly number[]): void {
    const state = this.#state;
    state[0] = 19_650_218;
    for (let i = 1; i < size; i++) {
      const before = (state[i - 1] ?? 0) ^ ((state[i - 1] ?? 0) >>> 30);
      state[i] = Math.imul(1_812_433_253, before) + i;
    }
    let place = 1;
    const mix = (by: number, add: (i: number) => number): void => {
      const before = (state[place - 1] ?? 0) ^ ((state[place - 1] ?? 0) >>> 30);
      state[place] = ((state[place] ?? 0) ^ Math.imul(before, by)) + add(place);
      place += 1;
      if (place < size) return;
      state[0] = state[size - 1] ?? 0;
      place = 1;
    };
    for (let k = 0; k < size; k++) mix(1_664_525, () => (key[k % key.length] ?? 0) + (k % key.length));
    for (let k = 0; k < size - 1; k++) mix(1_566_083_941, (i) => -i);
    state[0] = 0x80000000;
  }

  #bits(): number {
    if (this.#next >= size) this.#twist();
    let y = this.#state[this.#next++] ?? 0;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < size; i++) {
      const y = ((state[i] ?? 0) & 0x80000000) | ((state[(i + 1) % size] ?? 0) & 0x7fffffff);
      state[i] = (state[(i + shift) % size] ?? 0) ^ (y >>> 1) ^ ((y & 1) * 0x9908b0df);
    }
    this.#next = 0;
  }
}
