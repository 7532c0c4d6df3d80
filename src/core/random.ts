/**
 * One reproducible sequence of random words: the counter `[0, 0, stream, 0]` of a key, counted upwards.
 * Kernels that draw numbers take one; element i of a kernel's output reads word i.
 */
export interface Draw {
  /** Philox key, two unsigned 32-bit words. */
  readonly key: readonly [number, number];
  /** Unsigned 32-bit number of the sequence under that key. */
  readonly stream: number;
}

/** Position of a generator: all that is needed to go on with the same numbers. */
export interface RandomState {
  readonly seed: readonly [number, number];
  readonly stream: number;
}

/**
 * Philox 4×32-10: 128 random bits for a 128-bit counter under a 64-bit key, written to `out[0..3]` as unsigned words.
 * Being a pure function of its counter, it gives the same numbers on every backend and with any number of threads.
 *
 * @see Salmon et al. (2011), "Parallel random numbers: as easy as 1, 2, 3".
 */
export function philox(counter: readonly [number, number, number, number], key: Draw["key"], out: Uint32Array): void {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0);
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** Upper 32 bits of the 64-bit product of two unsigned 32-bit words. */
function multiplyHigh(a: number, b: number): number {
  const [aHigh, aLow] = [a >>> 16, a & 0xffff];
  const [bHigh, bLow] = [b >>> 16, b & 0xffff];
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + (middle >>> 16) + (carry >>> 16)) | 0;
}

/** Words of one {@link Draw} in order, four computed at a time. */
export class DrawReader {
  readonly #draw: Draw;
  readonly #block = new Uint32Array(4);
  #next = 0;

  constructor(draw: Draw) {
    this.#draw = draw;
  }

  /** The next word, an integer in [0, 2³²). */
  word(): number {
    const lane = this.#next & 3;
    if (lane === 0) {
      const block = this.#next / 4;
      philox([block | 0, Math.floor(block / 2 ** 32), this.#draw.stream, 0], this.#draw.key, this.#block);
    }
    this.#next += 1;
    return this.#block[lane] ?? 0;
  }

  /** Uniform in [0, 1), with 32 random bits. */
  uniform(): number {
    return this.word() / 2 ** 32;
  }

  /** Uniform integer in [0, below), without bias. */
  integer(below: number): number {
    const limit = 2 ** 32 - (2 ** 32 % below);
    for (;;) {
      const word = this.word();
      if (word < limit) return word % below;
    }
  }
}

/**
 * A source of independent draws, passed as an argument wherever something is random.
 * Its whole state is a seed and a count, so a run that stops goes on with the numbers it would have had.
 */
export class Random {
  #seed: readonly [number, number];
  #stream: number;

  constructor(seed: number) {
    this.#seed = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
    this.#stream = 0;
  }

  /** A fresh draw; no two calls on one generator share numbers. */
  draw(): Draw {
    const draw = { key: this.#seed, stream: this.#stream };
    this.#stream = (this.#stream + 1) >>> 0;
    return draw;
  }

  /** A reader over a fresh draw. */
  reader(): DrawReader {
    return new DrawReader(this.draw());
  }

  /** A generator of its own for each label, unrelated to this one's numbers and without advancing it. */
  child(label: number): Random {
    const words = new Uint32Array(4);
    philox([label >>> 0, Math.floor(label / 2 ** 32) >>> 0, 0, 1], this.#seed, words);
    const child = new Random(0);
    child.#seed = [words[0] ?? 0, words[1] ?? 0];
    return child;
  }

  /** An unrelated generator, another at every call: it takes the place of one draw. */
  split(): Random {
    const { stream } = this.draw();
    return this.child(2 ** 32 + stream);
  }

  /** What {@link Random.restore} needs to continue from here. */
  state(): RandomState {
    return { seed: this.#seed, stream: this.#stream };
  }

  /** A generator at the position of `state`. */
  static restore(state: RandomState): Random {
    const random = new Random(0);
    random.#seed = state.seed;
    random.#stream = state.stream;
    return random;
  }

  /** `count` numbers of the normal distribution with mean 0, by the Box–Muller transform. */
  normal(count: number, standardDeviation = 1): Float32Array {
    const reader = this.reader();
    const values = new Float32Array(count);
    for (let i = 0; i < count; i += 2) {
      const radius = Math.sqrt(-2 * Math.log((reader.word() + 1) / 2 ** 32)) * standardDeviation;
      const angle = reader.uniform() * 2 * Math.PI;
      values[i] = radius * Math.cos(angle);
      if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
    }
    return values;
  }

  /** The integers 0 … count − 1 in random order (Fisher–Yates). */
  permutation(count: number): Uint32Array {
    const reader = this.reader();
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = reader.integer(i + 1);
      const kept = order[i] ?? 0;
      order[i] = order[j] ?? 0;
      order[j] = kept;
    }
    return order;
  }
}
