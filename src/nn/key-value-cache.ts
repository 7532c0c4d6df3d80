import { demandMemory } from "../backend/demand-memory.ts";
import type { Backend } from "../backend/kernels.ts";
import { storedBytes } from "../backend/weight-formats.ts";
import { ShapeError, UnsupportedError } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import { elementCount } from "../core/shape.ts";
import { record, willRecord } from "../tensor/op.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import { Tensor } from "../tensor/tensor.ts";

/** How keys and values are kept: exactly, or in half the memory with 8 bits of each number's 24. */
export const cacheTypes = ["float32", "bfloat16"] as const;
export type CacheType = (typeof cacheTypes)[number];

/** Sizes of a {@link KeyValueCache}. */
export interface CacheShape {
  readonly layers: number;
  /** Sequences that fit side by side. */
  readonly slots: number;
  /** Positions each sequence has room for. */
  readonly capacity: number;
  /** Width of a key, and of a value: keyValueHeads · headDim. */
  readonly width: number;
  /** Default: float32. Without gradients only, where it is another. */
  readonly type?: CacheType | undefined;
}

/**
 * Keys and values of the positions that sequences have passed already, so that a new token costs one position. Each
 * sequence has a slot and a length of its own. A forward pass takes the sequences of the first slots, as many as
 * `extend` announced, and appends to each.
 */
export class KeyValueCache {
  readonly shape: CacheShape;
  /** Positions stored in each slot, without those of the forward pass under way. */
  readonly lengths: Int32Array;
  readonly #keys: readonly Tensor[];
  readonly #values: readonly Tensor[];
  readonly #backend: Backend;
  #counts: Int32Array = new Int32Array(0);
  /** Leading positions of each sequence that see each other in the pass under way. */
  #prefixes: Int32Array | undefined;
  #rows: Int32Array = new Int32Array(0);

  /** @throws {MemoryError} when there is no memory for so many positions. */
  constructor(backend: Backend, shape: CacheShape) {
    const { layers, slots, capacity, width, type = "float32" } = shape;
    demandMemory(
      backend,
      2 * layers * storedBytes(type, slots * capacity * width),
      `key-value cache: keys and values of ${slots} ${slots === 1 ? "sequence" : "sequences"} of ${capacity} tokens`,
      "lower the number of sequences (--batch-size, --samples, --answers) or --max-new-tokens, or give a shorter text",
    );
    const size: Shape = [slots, capacity, width];
    const zeros = type === "float32" ? null : new Uint8Array(storedBytes(type, elementCount(size)));
    const make = (): Tensor => {
      if (!zeros) return Tensor.full(backend, size, 0).keep();
      const tensor = Tensor.empty(backend, size, type).keep();
      tensor.write(zeros);
      return tensor;
    };
    this.shape = shape;
    this.#backend = backend;
    this.lengths = new Int32Array(shape.slots);
    this.#keys = Array.from({ length: shape.layers }, make);
    this.#values = Array.from({ length: shape.layers }, make);
  }

  /**
   * Announces a forward pass over `[counts.length, time]` new positions, of which the first `counts[b]` of each
   * sequence are real and the rest padding. With `isPrefix` those that a sequence begins with all see each other.
   *
   * @throws {ShapeError} when a sequence has no room left.
   */
  extend(counts: Int32Array, time: number, isPrefix = false): void {
    const { capacity } = this.shape;
    this.#counts = counts;
    this.#prefixes = isPrefix ? counts.map((count, b) => (this.#length(b) === 0 ? count : 0)) : undefined;
    this.#rows = new Int32Array(counts.length * time).fill(-1);
    counts.forEach((count, b) => {
      const length = this.#length(b);
      if (length + count > capacity) {
        throw new ShapeError(
          `key-value cache: sequence ${b} needs ${length + count} positions, the cache has ${capacity}`,
        );
      }
      for (let t = 0; t < count; t++) this.#rows[b * time + t] = b * capacity + length + t;
    });
  }

  /** Absolute position of each new token, `[batch · time]`; padding repeats the last one. */
  positions(time: number): Int32Array {
    return Int32Array.from({ length: this.#counts.length * time }, (_, i) => {
      const b = Math.floor(i / time);
      const newest = Math.max((this.#counts[b] ?? 0) - 1, 0);
      return this.#length(b) + Math.min(i % time, newest);
    });
  }

  /** Which keys the new positions see. */
  mask(): AttentionMask {
    const keyLengths = this.#counts.map((count, b) => this.#length(b) + count);
    const queryStarts = this.lengths.slice(0, this.#counts.length);
    return { causal: true, queryStarts, keyLengths, prefixLengths: this.#prefixes, renew: () => this.mask() };
  }

  /**
   * Stores key and value `[batch, time, width]` of one layer, which nothing else may read afterwards; gives all of that
   * layer, `[batch, capacity, width]`. Gradients reach what is stored, not what was there before.
   */
  append(layer: number, key: Tensor, value: Tensor): { key: Tensor; value: Tensor } {
    const rows = Tensor.given(this.#backend, this.#rows, [this.#rows.length], () => this.#rows);
    const store = (all: Tensor | undefined, added: Tensor): Tensor => {
      if (!all) throw new ShapeError(`key-value cache: there is no layer ${layer} among ${this.shape.layers}`);
      const { slots, capacity, width } = this.shape;
      this.#backend.kernels.setRows(added.detach().reshape([-1, width]), rows, all.reshape([slots * capacity, width]));
      const stored = all.window(0, [this.#counts.length, capacity, width]);
      if (willRecord([added]) && all.dtype !== "float32") {
        throw new UnsupportedError(
          `key-value cache: as ${all.dtype} it passes no gradient; keep it as float32 for this`,
        );
      }
      if (!willRecord([added])) {
        if (!added.requiresGrad) added.release();
        return stored;
      }
      record(stored, [added], [], (dy) => [() => dy.reshape([-1, width]).gatherRows(rows).reshape(added.shape)]);
      return stored;
    };
    return { key: store(this.#keys[layer], key), value: store(this.#values[layer], value) };
  }

  /**
   * Key and value of the last position stored in each sequence of the pass under way, both `[batch, width]`; zeros where
   * nothing is stored yet. For recurrent models, whose state they are.
   */
  latest(layer: number): { key: Tensor; value: Tensor } {
    const { slots, capacity, width } = this.shape;
    const last = this.#counts.map((_, b) => (this.#length(b) > 0 ? b * capacity + this.#length(b) - 1 : -1));
    const rows = Tensor.from(this.#backend, last, [last.length]);
    const of = (all: Tensor | undefined): Tensor => {
      if (!all) throw new ShapeError(`key-value cache: there is no layer ${layer} among ${this.shape.layers}`);
      return all.window(0, [slots * capacity, width]).gatherRows(rows);
    };
    return { key: of(this.#keys[layer]), value: of(this.#values[layer]) };
  }

  /** Ends the forward pass: what it appended now counts. */
  commit(): void {
    this.#counts.forEach((count, b) => {
      this.lengths[b] = this.#length(b) + count;
    });
    this.#counts = new Int32Array(0);
  }

  /** Empties a slot. */
  clear(slot: number): void {
    this.lengths[slot] = 0;
  }

  /** Puts the sequence of one slot into another, whose own is lost. */
  move(from: number, to: number): void {
    const { slots, capacity, width } = this.shape;
    const rowsOf = (slot: number): Tensor => {
      const rows = Int32Array.from({ length: this.#length(from) }, (_, t) => slot * capacity + t);
      return Tensor.from(this.#backend, rows, [rows.length]);
    };
    if (this.#length(from) > 0) this.#copyRows([slots * capacity, width], rowsOf(from), rowsOf(to));
    this.lengths[to] = this.#length(from);
    this.clear(from);
  }

  /** Puts a copy of the sequence in slot `sources[i]` into slot i, for every slot at once. */
  reorder(sources: Int32Array): void {
    const { slots, capacity, width } = this.shape;
    if (sources.length !== slots) {
      throw new ShapeError(`key-value cache: ${sources.length} sources do not fill ${slots} slots`);
    }
    const lengths = Int32Array.from(sources, (slot) => this.#length(slot));
    const own = Int32Array.from({ length: slots }, (_, slot) => slot);
    const [from, to] = [sources, own].map((ids) => Tensor.from(this.#backend, ids, [slots]));
    this.#copyRows([slots, capacity * width], from as Tensor, to as Tensor);
    this.lengths.set(lengths);
  }

  /** Puts a copy of each row `from` into row `to` of all that is stored, seen as rows of some shape; gives both back. */
  #copyRows(shape: Shape, from: Tensor, to: Tensor): void {
    for (const all of [...this.#keys, ...this.#values]) {
      const table = all.window(0, shape);
      const moved = table.gatherRows(from);
      this.#backend.kernels.setRows(moved, to, table);
      moved.release();
    }
    for (const ids of [from, to]) ids.release();
  }

  /** Leaves it to the scope that is open now to give the memory back, or to a backward pass that comes by. */
  unkeep(): this {
    for (const tensor of [...this.#keys, ...this.#values]) tensor.unkeep();
    return this;
  }

  /** Gives the memory back. */
  release(): void {
    for (const tensor of [...this.#keys, ...this.#values]) tensor.release();
  }

  #length(slot: number): number {
    return this.lengths[slot] ?? 0;
  }
}
