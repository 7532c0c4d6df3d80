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

/** A forward pass that was announced, and is under way. */
interface Pass {
  /** Slot of each sequence. */
  readonly slots: Int32Array;
  /** New positions of each. */
  readonly counts: Int32Array;
  /** Positions of each that were stored before. */
  readonly lengths: Int32Array;
  /** Leading positions of each that see each other. */
  readonly prefixes: Int32Array | undefined;
  /** Row of the tables that each row of the pass goes to; −1 for padding. */
  readonly rows: Int32Array;
  /** Rows of each sequence, padding included; null where they lie back to back. */
  readonly time: number | null;
}

const noPass: Pass = {
  ...{ slots: new Int32Array(0), counts: new Int32Array(0), lengths: new Int32Array(0), rows: new Int32Array(0) },
  ...{ prefixes: undefined, time: 0 },
};

/**
 * Keys and values of the positions that sequences have passed already, so that a new token costs one position. Each
 * sequence has a slot and a length of its own. A forward pass takes the sequences of the first slots, all padded to one
 * length (`extend`), or those of any slots, back to back in a batch of one (`extendRows`), and appends to each.
 */
export class KeyValueCache {
  readonly shape: CacheShape;
  /** Positions stored in each slot, without those of the forward pass under way. */
  readonly lengths: Int32Array;
  readonly #keys: readonly Tensor[];
  readonly #values: readonly Tensor[];
  readonly #backend: Backend;
  #pass: Pass = noPass;

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
    this.#announce(
      Int32Array.from(counts, (_, b) => b),
      counts,
      time,
      isPrefix,
    );
  }

  /**
   * Announces a forward pass over `[1, Σ counts]` new positions: those of the sequence in `slots[0]`, then those of the
   * next, and so on. No slot comes twice. With `isPrefix` those that a sequence begins with all see each other.
   *
   * @throws {ShapeError} when a sequence has no room left.
   */
  extendRows(slots: Int32Array, counts: Int32Array, isPrefix = false): void {
    this.#announce(slots, counts, null, isPrefix);
  }

  #announce(slots: Int32Array, counts: Int32Array, time: number | null, isPrefix: boolean): void {
    const { capacity } = this.shape;
    const lengths = slots.map((slot) => this.#length(slot));
    const total = counts.reduce((sum, count) => sum + count, 0);
    const rows = new Int32Array(time === null ? total : counts.length * time).fill(-1);
    let at = 0;
    counts.forEach((count, b) => {
      const [slot, length] = [slots[b] ?? 0, lengths[b] ?? 0];
      if (length + count > capacity) {
        throw new ShapeError(
          `key-value cache: sequence ${slot} needs ${length + count} positions, the cache has ${capacity}`,
        );
      }
      for (let t = 0; t < count; t++) rows[at + t] = slot * capacity + length + t;
      at += time ?? count;
    });
    const prefixes = isPrefix ? counts.map((count, b) => (lengths[b] === 0 ? count : 0)) : undefined;
    this.#pass = { slots, counts, lengths, prefixes, rows, time };
  }

  /** Rows of each sequence of the pass under way, where these lie back to back; else null. */
  get raggedCounts(): Int32Array | null {
    return this.#pass.time === null ? this.#pass.counts : null;
  }

  /** Absolute position of each new token, row by row; padding repeats the last one. */
  positions(time: number): Int32Array {
    const { counts, lengths } = this.#pass;
    const isRagged = this.#pass.time === null;
    return Int32Array.from(
      [...counts].flatMap((count, b) =>
        Array.from(
          { length: isRagged ? count : time },
          (_, t) => (lengths[b] ?? 0) + Math.min(t, Math.max(count - 1, 0)),
        ),
      ),
    );
  }

  /** Which keys the new positions see. */
  mask(): AttentionMask {
    const { counts, lengths, prefixes, time } = this.#pass;
    if (time === null) {
      const rows = this.#raggedRows();
      const of = (): Int32Array => this.#raggedRows();
      const sequences = Tensor.given(this.#backend, rows, [counts.length, rows.length / counts.length], of);
      return { causal: true, ragged: { sequences, rows, window: 0 } };
    }
    const keyLengths = counts.map((count, b) => (lengths[b] ?? 0) + count);
    return { causal: true, queryStarts: lengths, keyLengths, prefixLengths: prefixes, renew: () => this.mask() };
  }

  /** See `RaggedAttention.sequences`. */
  #raggedRows(): Int32Array {
    const { slots, counts, lengths, prefixes } = this.#pass;
    const rows = new Int32Array(6 * counts.length);
    let first = 0;
    counts.forEach((count, b) => {
      const [slot, length] = [slots[b] ?? 0, lengths[b] ?? 0];
      rows.set([length, prefixes?.[b] ?? 0, length + count, first, count, slot * this.shape.capacity], 6 * b);
      first += count;
    });
    return rows;
  }

  /**
   * Stores key and value `[batch, time, width]` of one layer, which nothing else may read afterwards; gives all of that
   * layer: `[batch, capacity, width]` of the sequences, or `[1, slots · capacity, width]` where rows are ragged. Gradients
   * reach what is stored, not what was there before.
   */
  append(layer: number, key: Tensor, value: Tensor): { key: Tensor; value: Tensor } {
    const { counts, time } = this.#pass;
    const rows = Tensor.given(this.#backend, this.#pass.rows, [this.#pass.rows.length], () => this.#pass.rows);
    const store = (all: Tensor | undefined, added: Tensor): Tensor => {
      if (!all) throw new ShapeError(`key-value cache: there is no layer ${layer} among ${this.shape.layers}`);
      const { slots, capacity, width } = this.shape;
      this.#backend.kernels.setRows(added.detach().reshape([-1, width]), rows, all.reshape([slots * capacity, width]));
      const shape = time === null ? [1, slots * capacity, width] : [counts.length, capacity, width];
      const stored = all.window(0, shape);
      if (willRecord([added]) && all.dtype !== "float32") {
        throw new UnsupportedError(
          `key-value cache: as ${all.dtype} it passes no gradient; keep it as float32 for this`,
        );
      }
      if (!willRecord([added])) {
        if (!added.requiresGrad) added.release();
        return stored;
      }
      record(stored, [added], (dy) => [() => dy.reshape([-1, width]).gatherRows(rows).reshape(added.shape)]);
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
    const last = (): Int32Array => {
      const { slots: own, lengths } = this.#pass;
      return own.map((slot, b) => ((lengths[b] ?? 0) > 0 ? slot * capacity + (lengths[b] ?? 0) - 1 : -1));
    };
    const rows = Tensor.given(this.#backend, last(), [this.#pass.slots.length], last);
    const of = (all: Tensor | undefined): Tensor => {
      if (!all) throw new ShapeError(`key-value cache: there is no layer ${layer} among ${this.shape.layers}`);
      return all.window(0, [slots * capacity, width]).gatherRows(rows);
    };
    return { key: of(this.#keys[layer]), value: of(this.#values[layer]) };
  }

  /** Ends the forward pass: what it appended now counts. */
  commit(): void {
    const { slots, counts } = this.#pass;
    slots.forEach((slot, b) => {
      this.lengths[slot] = this.#length(slot) + (counts[b] ?? 0);
    });
    this.#pass = noPass;
  }

  /** Empties a slot. */
  clear(slot: number): void {
    this.lengths[slot] = 0;
  }

  /** Forgets all but the first `length` positions of a slot. */
  truncate(slot: number, length: number): void {
    this.lengths[slot] = Math.min(length, this.#length(slot));
  }

  /** Puts a copy of the first `length` positions of one slot into another, whose own sequence is lost. */
  fork(from: number, to: number, length: number): void {
    const { slots, capacity, width } = this.shape;
    const count = Math.min(length, this.#length(from));
    const rowsOf = (slot: number): Tensor => {
      const rows = Int32Array.from({ length: count }, (_, t) => slot * capacity + t);
      return Tensor.from(this.#backend, rows, [rows.length]);
    };
    if (count > 0) this.#copyRows([slots * capacity, width], rowsOf(from), rowsOf(to));
    this.lengths[to] = count;
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
