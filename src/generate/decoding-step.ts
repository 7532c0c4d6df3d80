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
 * One token more for each of some sequences. A pass is like the one before but for its tokens and their places: it is
 * captured, where the backend can do that, and made again for the tokens that follow.
 */
export class DecodingStep {
  readonly #model: LanguageModel;
  readonly #cache: KeyValueCache;
  #tokens: Int32Array = new Int32Array(0);
  #captured: Captured | null = null;
  #failures = 0;

  constructor(model: LanguageModel, cache: KeyValueCache) {
    this.#model = model;
    this.#cache = cache;
  }

  /**
   * Appends a token to each of the first `tokens.length` sequences, or none where `counts` is 0.
   *
   * @returns logits of what follows, `[tokens.length · vocabularySize]`.
   */
  async run(tokens: Int32Array, counts: Int32Array): Promise<Float32Array> {
    if (tokens.length !== this.#tokens.length) this.release();
    this.#tokens = tokens;
    this.#cache.extend(counts, 1, this.#model.readsPrefix);
    if (this.#captured?.pass.replay()) {
      this.#cache.commit();
      return this.#captured.logits.floats();
    }
    this.release();
    const { logits, pass } = this.#capture();
    if (pass) this.#captured = { pass, logits };
    const values = await logits.floats();
    if (!pass) logits.release();
    return values;
  }

  /** Gives back what a captured pass holds. */
  release(): void {
    this.#captured?.pass.release();
    this.#captured?.logits.release();
    this.#captured = null;
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
    const batch = this.#tokens.length;
    return withoutGradients(() =>
      tensorScope(() => {
        const ids = Tensor.given(this.#model.backend, this.#tokens, [batch, 1], () => this.#tokens);
        const hidden = this.#model.forward(ids, { cache: this.#cache }); // [batch, 1, width]
        return this.#model.logits(hidden.reshape([batch, -1]));
      }),
    );
  }
}
