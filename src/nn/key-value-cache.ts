import type { Backend } from "../backend/kernels.ts";
import { ShapeError } from "../core/errors.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import { Tensor } from "../tensor/tensor.ts";

/** Sizes of a {@link KeyValueCache}. */
export interface CacheShape {
  readonly layers: number;
  /** Sequences decoded side by side. */
  readonly batch: number;
  /** Positions each sequence has room for. */
  readonly capacity: number;
  /** Width of a key, and of a value: keyValueHeads · headDim. */
  readonly width: number;
}

/**
 * Keys and values of the positions that sequences have passed already, so that a new token costs one position. Each
 * sequence has a length of its own; a forward pass appends to all of them, as many positions each as `extend` announced.
 */
export class KeyValueCache {
  readonly shape: CacheShape;
  /** Positions stored for each sequence, without those of the forward pass under way. */
  readonly lengths: Int32Array;
  readonly #keys: readonly Tensor[];
  readonly #values: readonly Tensor[];
  readonly #backend: Backend;
  #counts: Int32Array = new Int32Array(0);
  #slots: Int32Array = new Int32Array(0);

  constructor(backend: Backend, shape: CacheShape) {
    const make = (): Tensor => Tensor.full(backend, [shape.batch, shape.capacity, shape.width], 0).keep();
    this.shape = shape;
    this.#backend = backend;
    this.lengths = new Int32Array(shape.batch);
    this.#keys = Array.from({ length: shape.layers }, make);
    this.#values = Array.from({ length: shape.layers }, make);
  }

  /**
   * Announces a forward pass over `[batch, time]` new positions, of which the first `counts[b]` of each sequence are
   * real and the rest padding.
   *
   * @throws {ShapeError} when a sequence has no room left.
   */
  extend(counts: Int32Array, time: number): void {
    const { batch, capacity } = this.shape;
    this.#counts = counts;
    this.#slots = new Int32Array(batch * time).fill(-1);
    counts.forEach((count, b) => {
      const length = this.lengths[b] ?? 0;
      if (length + count > capacity) {
        throw new ShapeError(
          `key-value cache: sequence ${b} needs ${length + count} positions, the cache has ${capacity}`,
        );
      }
      for (let t = 0; t < count; t++) this.#slots[b * time + t] = b * capacity + length + t;
    });
  }

  /** Absolute position of each new token, `[batch · time]`; padding repeats the last one. */
  positions(time: number): Int32Array {
    return Int32Array.from({ length: this.shape.batch * time }, (_, i) => {
      const b = Math.floor(i / time);
      const last = (this.lengths[b] ?? 0) + Math.max((this.#counts[b] ?? 0) - 1, 0);
      return Math.min((this.lengths[b] ?? 0) + (i % time), last);
    });
  }

  /** Which keys the new positions see. */
  mask(): AttentionMask {
    const keyLengths = this.lengths.map((length, b) => length + (this.#counts[b] ?? 0));
    return { causal: true, queryStarts: this.lengths.slice(), keyLengths };
  }

  /** Stores key and value `[batch, time, width]` of one layer; gives all of that layer, `[batch, capacity, width]`. */
  append(layer: number, key: Tensor, value: Tensor): { key: Tensor; value: Tensor } {
    const [keys, values] = [this.#keys[layer], this.#values[layer]];
    if (!keys || !values)
      throw new ShapeError(`key-value cache: there is no layer ${layer} among ${this.shape.layers}`);
    const { batch, capacity, width } = this.shape;
    const slots = Tensor.from(this.#backend, this.#slots, [this.#slots.length]);
    const { kernels } = this.#backend;
    kernels.setRows(key.reshape([-1, width]), slots, keys.reshape([batch * capacity, width]));
    kernels.setRows(value.reshape([-1, width]), slots, values.reshape([batch * capacity, width]));
    return { key: keys, value: values };
  }

  /** Ends the forward pass: what it appended now counts. */
  commit(): void {
    this.#counts.forEach((count, b) => {
      this.lengths[b] = (this.lengths[b] ?? 0) + count;
    });
    this.#counts = new Int32Array(this.shape.batch);
  }

  /** Forgets one sequence, so that another can take its place. */
  clear(sequence: number): void {
    this.lengths[sequence] = 0;
  }

  /** Gives the memory back. */
  release(): void {
    for (const tensor of [...this.#keys, ...this.#values]) tensor.release();
  }
}
