import type { LanguageModel } from "../models/language-model.ts";
import type { CacheType, KeyValueCache } from "../nn/key-value-cache.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import { DecodingStep } from "./decoding-step.ts";

/** Tokens taken through the model at one time, at most, while a prompt is read. */
const chunkTokens = 2048;

/**
 * Runs a model over sequences of unequal length that come and go, each in a slot of one cache. Slots 0 … active − 1 are
 * in use; a sequence that ends hands its slot to the last one.
 */
export class Decoder {
  readonly #model: LanguageModel;
  readonly #cache: KeyValueCache;
  readonly #step: DecodingStep;
  #active = 0;

  constructor(model: LanguageModel, slots: number, capacity: number, cacheType?: CacheType) {
    this.#model = model;
    this.#cache = model.newCache(slots, capacity, cacheType);
    this.#step = new DecodingStep(model, this.#cache);
  }

  /** Sequences under way. */
  get active(): number {
    return this.#active;
  }

  /** Takes the next slot for a new, empty sequence. */
  open(): number {
    return this.#active++;
  }

  /** Ends the sequence of a slot. The sequence of the last slot moves there; its old slot is returned, or null. */
  close(slot: number): number | null {
    this.#active -= 1;
    if (slot === this.#active) {
      this.#cache.clear(slot);
      return null;
    }
    this.#cache.move(this.#active, slot);
    return this.#active;
  }

  /** Forgets what a slot holds, keeping it open. */
  reset(slot: number): void {
    this.#cache.clear(slot);
  }

  /** Positions a slot holds. */
  length(slot: number): number {
    return this.#cache.lengths[slot] ?? 0;
  }

  /**
   * Appends new tokens to the active sequences, one list (possibly empty) for each slot.
   *
   * @returns logits of what follows the last token of each, `[vocabularySize]` in a list by slot; null for an empty list.
   */
  async feed(tokens: readonly (readonly number[] | Int32Array)[]): Promise<(Float32Array | null)[]> {
    const longest = tokens.reduce((length, list) => Math.max(length, list.length), 0);
    // What sees each other goes through the model together.
    const most = this.#model.readsPrefix ? longest : Math.floor(chunkTokens / Math.max(tokens.length, 1));
    const step = Math.max(1, most);
    const logits: (Float32Array | null)[] = tokens.map(() => null);
    for (let start = 0; start < longest; start += step) {
      const parts = tokens.map((list) => list.slice(start, start + step));
      const rows = await this.#forward(parts);
      parts.forEach((part, slot) => {
        if (part.length > 0) logits[slot] = rows[slot] ?? null;
      });
    }
    return logits;
  }

  /** Gives the memory back. */
  release(): void {
    this.#step.release();
    this.#cache.release();
  }

  async #forward(parts: readonly (readonly number[] | Int32Array)[]): Promise<Float32Array[]> {
    const { settings } = this.#model;
    const time = parts.reduce((length, part) => Math.max(length, part.length), 1);
    const ids = new Int32Array(parts.length * time);
    const lastRows = new Int32Array(parts.length);
    parts.forEach((part, slot) => {
      ids.set(part, slot * time);
      lastRows[slot] = slot * time + Math.max(part.length - 1, 0);
    });
    const counts = Int32Array.from(parts, (part) => part.length);
    const values = time === 1 ? await this.#step.run(ids, counts) : await this.#read(ids, counts, lastRows);
    const width = settings.vocabularySize;
    return parts.map((_, slot) => values.subarray(slot * width, (slot + 1) * width));
  }

  /** Takes `ids` `[batch · time]` through the model, of which the first `counts` of each sequence are real. */
  async #read(ids: Int32Array, counts: Int32Array, lastRows: Int32Array): Promise<Float32Array> {
    const { backend } = this.#model;
    const [batch, time] = [counts.length, ids.length / counts.length];
    const logits = withoutGradients(() =>
      tensorScope(() => {
        this.#cache.extend(counts, time, this.#model.readsPrefix);
        const hidden = this.#model.forward(Tensor.from(backend, ids, [batch, time]), { cache: this.#cache });
        const rows = hidden.reshape([batch * time, -1]);
        return this.#model.logits(rows.gatherRows(Tensor.from(backend, lastRows, [batch]))); // [batch, vocabularySize]
      }),
    );
    const values = await logits.floats();
    logits.release();
    return values;
  }
}
