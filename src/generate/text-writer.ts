import { SettingsError } from "../core/errors.ts";
import { paddedBatch } from "../data/padded-batch.ts";
import type { EncoderDecoder } from "../models/encoder-decoder.ts";
import type { EncodedText } from "../models/text-to-text-model.ts";
import type { KeyValueCache } from "../nn/key-value-cache.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TokenList } from "./token-lists.ts";
import { refuseOtherIds } from "./token-lists.ts";

/**
 * Runs the decoder of an encoder-decoder over rows that write side by side, one token each at a time: `beams` rows for
 * each text that the encoder has read. What attention needs of those texts is worked out once.
 */
export class TextWriter {
  readonly #model: EncoderDecoder;
  readonly #cache: KeyValueCache;
  readonly #text: EncodedText;
  /** Rows: text by text, beam by beam. */
  readonly rows: number;

  /**
   * Reads the texts; each row has room for `capacity` tokens.
   *
   * @throws {SettingsError} when a text is empty, longer than the model is meant for, or holds ids outside its vocabulary.
   */
  constructor(model: EncoderDecoder, texts: readonly TokenList[], beams: number, capacity: number) {
    for (const [index, text] of texts.entries()) checkText(model, text, index);
    this.#model = model;
    this.rows = texts.length * beams;
    this.#text = withoutGradients(() =>
      tensorScope(() =>
        read(
          model,
          texts,
          Int32Array.from({ length: this.rows }, (_, row) => Math.floor(row / beams)),
        ),
      ),
    );
    this.#cache = model.newCache(this.rows, capacity);
  }

  /** Appends one token to each row → logits of what follows, `[rows · vocabularySize]`. */
  async feed(tokens: Int32Array): Promise<Float32Array> {
    const logits = withoutGradients(() =>
      tensorScope(() => {
        this.#cache.extend(new Int32Array(this.rows).fill(1), 1);
        const ids = Tensor.from(this.#model.backend, tokens, [this.rows, 1]);
        return this.#model.logits(this.#model.decode(ids, this.#text, { cache: this.#cache }));
      }),
    );
    const values = await logits.floats();
    logits.release();
    return values;
  }

  /** Lets row i go on with what row `sources[i]` has written. */
  reorder(sources: Int32Array): void {
    this.#cache.reorder(sources);
  }

  /** Gives the memory back. */
  release(): void {
    this.#cache.release();
    for (const { key, value } of this.#text.remembered ?? []) {
      key.release();
      value.release();
    }
    this.#text.hidden.release();
  }
}

/** Encodes texts, and repeats what the decoder needs of each for the rows that are to look at it. */
function read(model: EncoderDecoder, texts: readonly TokenList[], textOf: Int32Array): EncodedText {
  const { ids, batch, time, lengths } = paddedBatch(texts.map((text) => Int32Array.from(text)));
  const { hidden, remembered = [] } = model.remember(
    model.encode(Tensor.from(model.backend, ids, [batch, time]), lengths),
  );
  const rows = Tensor.from(model.backend, textOf, [textOf.length]);
  const repeated = (x: Tensor): Tensor => x.reshape([batch, -1]).gatherRows(rows).reshape([textOf.length, time, -1]);
  return {
    hidden,
    lengths: textOf.map((text) => lengths[text] ?? 0),
    remembered: remembered.map(({ key, value }) => ({ key: repeated(key), value: repeated(value) })),
  };
}

function checkText({ settings }: EncoderDecoder, text: TokenList, index: number): void {
  const { context, vocabularySize } = settings;
  if (text.length === 0) throw new SettingsError(`generate: text ${index + 1} is empty; give one to read`);
  if (text.length > context) {
    throw new SettingsError(
      `generate: text ${index + 1} has ${text.length} tokens, the model is meant for ${context}; shorten the text`,
    );
  }
  refuseOtherIds(`text ${index + 1}`, text, vocabularySize);
}
