import type { LanguageModel } from "../models/language-model.ts";
import type { CacheType, KeyValueCache } from "../nn/key-value-cache.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import { DecodingStep } from "./decoding-step.ts";

/** Logits that exist at one time, at most: 4 M numbers, 16 MB. */
const logitElements = 1 << 22;

/** Tokens that a pass appends to the sequence of one slot. */
export interface PassPart {
  readonly slot: number;
  /** At least one. */
  readonly tokens: readonly number[] | Int32Array;
  /** The first of them whose logits (of what follows it) are wanted, and of how many. */
  readonly first: number;
  readonly rows: number;
}

/**
 * Runs a model over sequences of unequal length, each in a slot of one cache. A pass takes any of them, with as many
 * tokens of each as there are, back to back: nobody waits for the longest.
 */
export class Decoder {
  readonly #model: LanguageModel;
  readonly #cache: KeyValueCache;
  readonly #step: DecodingStep;

  constructor(model: LanguageModel, slots: number, capacity: number, cacheType?: CacheType) {
    this.#model = model;
    this.#cache = model.newCache(slots, capacity, cacheType);
    this.#step = new DecodingStep(model, this.#cache);
  }

  /** Whether the model sees all of a prompt at once. */
  get readsPrefix(): boolean {
    return this.#model.readsPrefix ?? false;
  }

  /** Positions a slot holds. */
  length(slot: number): number {
    return this.#cache.lengths[slot] ?? 0;
  }

  /** Forgets all but the first `length` positions of a slot. */
  truncate(slot: number, length: number): void {
    this.#cache.truncate(slot, length);
  }

  /** Puts a copy of the first `length` positions of one slot into another. */
  fork(from: number, to: number, length: number): void {
    this.#cache.fork(from, to, length);
  }

  /**
   * Takes one pass through the model. `read` is given the logits `[rows, vocabularySize]` that are wanted, in the order of
   * the parts, some rows at a time; they are gone when it is done.
   *
   * @param isPrompt - Whether a prefix model sees at once what is put into empty slots.
   * @returns what `read` made of each row.
   */
  async pass<Result>(
    parts: readonly PassPart[],
    read: (logits: Tensor, firstRow: number) => Promise<readonly Result[]>,
    isPrompt = true,
  ): Promise<Result[]> {
    if (parts.every(({ tokens, rows }) => tokens.length === 1 && rows === 1)) {
      const slots = Int32Array.from(parts, ({ slot }) => slot);
      const tokens = Int32Array.from(parts, (part) => part.tokens[0] ?? 0);
      return [...(await this.#step.run(slots, tokens, (logits) => read(logits, 0)))];
    }
    const { hidden, rows } = this.#forward(parts, isPrompt);
    const step = Math.max(1, Math.floor(logitElements / this.#model.settings.vocabularySize));
    const results: Result[] = [];
    try {
      for (let first = 0; first < rows.length; first += step) {
        const logits = this.#logits(hidden, rows.subarray(first, first + step));
        try {
          results.push(...(await read(logits, first)));
        } finally {
          logits.release();
        }
      }
    } finally {
      hidden.release();
    }
    return results;
  }

  /** Takes one pass, and gives the logits `[vocabularySize]` of what follows the last token of each part. */
  async feed(parts: readonly Pick<PassPart, "slot" | "tokens">[]): Promise<Float32Array[]> {
    const { vocabularySize: width } = this.#model.settings;
    return this.pass(
      parts.map((part) => ({ ...part, first: part.tokens.length - 1, rows: 1 })),
      async (logits) => {
        const values = await logits.floats();
        return Array.from({ length: logits.axis(0) }, (_, row) => values.slice(row * width, (row + 1) * width));
      },
    );
  }

  /** Gives the memory back. */
  release(): void {
    this.#step.release();
    this.#cache.release();
  }

  /** Hidden states `[Σ tokens, width]` of all parts, and the rows whose logits are wanted. */
  #forward(parts: readonly PassPart[], isPrompt: boolean): { hidden: Tensor; rows: Int32Array } {
    const counts = Int32Array.from(parts, ({ tokens }) => tokens.length);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const ids = new Int32Array(total);
    const rows: number[] = [];
    let at = 0;
    for (const part of parts) {
      ids.set(part.tokens, at);
      for (let row = 0; row < part.rows; row++) rows.push(at + part.first + row);
      at += part.tokens.length;
    }
    const slots = Int32Array.from(parts, ({ slot }) => slot);
    const hidden = withoutGradients(() =>
      tensorScope(() => {
        this.#cache.extendRows(slots, counts, isPrompt && this.readsPrefix);
        const states = this.#model.forward(Tensor.from(this.#model.backend, ids, [1, total]), { cache: this.#cache });
        return states.reshape([total, -1]);
      }),
    );
    return { hidden, rows: Int32Array.from(rows) };
  }

  #logits(hidden: Tensor, rows: Int32Array): Tensor {
    return withoutGradients(() =>
      tensorScope(() => this.#model.logits(hidden.gatherRows(Tensor.from(this.#model.backend, rows, [rows.length])))),
    );
  }
}
