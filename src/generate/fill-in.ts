import { NumericalError } from "../core/errors.ts";
import type { BertForPretraining } from "../models/bert.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";

/**
 * Puts words in the place of masks: of all places that are left, the one that the model is surest of gets its likeliest
 * token, then the model looks again.
 *
 * @param ids - A whole sequence, special tokens included.
 * @param segments - Segment of each token.
 * @param isWord - What may be filled in.
 * @returns the sequence without masks.
 * @throws {NumericalError} when the model computes something else than numbers.
 * @see Ghazvininejad et al. (2019), "Mask-predict", arXiv:1904.09324.
 */
export async function fillIn(
  model: BertForPretraining,
  ids: Int32Array,
  segments: Int32Array,
  { mask, isWord }: { readonly mask: number; readonly isWord: (id: number) => boolean },
): Promise<Int32Array> {
  const filled = ids.slice();
  for (;;) {
    const places = Int32Array.from(filled.keys()).filter((at) => filled[at] === mask);
    if (places.length === 0) return filled;
    const guesses = await wordProbabilities(model, filled, segments, places);
    let best = { at: places[0] ?? 0, word: 0, logProbability: Number.NEGATIVE_INFINITY };
    for (const [i, at] of places.entries()) {
      for (const [word, logProbability] of (guesses[i] ?? []).entries()) {
        if (logProbability > best.logProbability && word !== mask && isWord(word)) best = { at, word, logProbability };
      }
    }
    filled[best.at] = best.word;
  }
}

/** log-probabilities of every word at some places of a sequence. */
async function wordProbabilities(
  model: BertForPretraining,
  ids: Int32Array,
  segments: Int32Array,
  places: Int32Array,
): Promise<Float32Array[]> {
  const result = withoutGradients(() =>
    tensorScope(() => {
      const hidden = model.forward(Tensor.from(model.backend, ids, [1, ids.length]), { segments });
      const rows = hidden.reshape([ids.length, -1]).gatherRows(Tensor.from(model.backend, places, [places.length]));
      return model.logits(rows).logSoftmax();
    }),
  );
  const values = await result.floats();
  result.release();
  if (values.some(Number.isNaN)) {
    throw new NumericalError("generate: the model gives NaN instead of probabilities; its weights are damaged");
  }
  const width = values.length / places.length;
  return Array.from(places, (_, i) => values.subarray(i * width, (i + 1) * width));
}
