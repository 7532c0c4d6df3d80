import type { CapturedPass } from "../backend/passes.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { KeyValueCache } from "../nn/key-value-cache.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";

/** Captures that may fail one after the other, before no more are tried: a table may have had to grow. */
const trials = 3;

/** A pass that was captured, and what it leaves. */
interface Captured {
  readonly pass: CapturedPass;
  /** `[batch, vocabularySize]` */
  readonly logits: Tensor;
}

/**
 * One token more for each of some sequences. A pass is like an earlier one of as many but for its tokens, their slots and
 * their places: it is captured, where the backend can do that, and made again for the tokens that follow.
 */
export class DecodingStep {
  readonly #model: LanguageModel;
  readonly #cache: KeyValueCache;
  #tokens: Int32Array = new Int32Array(0);
  /** By the number of sequences, since these come and go. */
  readonly #captured = new Map<number, Captured>();
  #failures = 0;

  constructor(model: LanguageModel, cache: KeyValueCache) {
    this.#model = model;
    this.#cache = cache;
  }

  /**
   * Appends a token to the sequence in each of some slots. `read` is given the logits `[slots, vocabularySize]` of what
   * follows, which are gone when it is done.
   *
   * @returns what it made of them.
   */
  async run<Result>(slots: Int32Array, tokens: Int32Array, read: (logits: Tensor) => Promise<Result>): Promise<Result> {
    this.#tokens = tokens;
    this.#cache.extendRows(slots, new Int32Array(slots.length).fill(1), this.#model.readsPrefix);
    const earlier = this.#captured.get(slots.length);
    if (earlier?.pass.replay()) {
      this.#cache.commit();
      return read(earlier.logits);
    }
    this.#forget(slots.length);
    const { logits, pass } = this.#capture();
    if (pass) {
      this.#captured.set(slots.length, { pass, logits });
      return read(logits);
    }
    try {
      return await read(logits);
    } finally {
      logits.release();
    }
  }

  /** Gives back what captured passes hold. */
  release(): void {
    for (const count of [...this.#captured.keys()]) this.#forget(count);
  }

  #forget(count: number): void {
    const captured = this.#captured.get(count);
    captured?.pass.release();
    captured?.logits.release();
    this.#captured.delete(count);
  }

  /** A pass, captured if that can be. */
  #capture(): { readonly logits: Tensor; readonly pass: CapturedPass | null } {
    const { passes } = this.#model.backend;
    if (!passes || this.#failures === trials) return { logits: this.#forward(), pass: null };
    const made: Tensor[] = [];
    const pass = passes.capture(() => {
      made.push(this.#forward());
    });
    this.#failures = pass ? 0 : this.#failures + 1;
    return { logits: made[0] as Tensor, pass };
  }

  #forward(): Tensor {
    const rows = this.#tokens.length;
    return withoutGradients(() =>
      tensorScope(() => {
        const ids = Tensor.given(this.#model.backend, this.#tokens, [1, rows], () => this.#tokens);
        const hidden = this.#model.forward(ids, { cache: this.#cache }); // [1, rows, width]
        return this.#model.logits(hidden.reshape([rows, -1]));
      }),
    );
  }
}
