import { Initializer } from "../nn/parameters.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ModelFamily } from "./family.ts";
import type { LanguageModel } from "./language-model.ts";

/**
 * The same model with rows for more tokens. Each new row of the embedding, and of the output layer where that is
 * another matrix, is the mean of the old ones: a new token starts as an average word, and what the model says of the
 * old ones hardly changes. The old model's memory may be given back afterwards.
 *
 * @see Hewitt (2021), "Initializing new word embeddings for pretrained language models".
 */
export async function resizeVocabulary(
  family: ModelFamily,
  model: LanguageModel,
  vocabularySize: number,
): Promise<LanguageModel> {
  const config = { ...family.writeConfig(model.settings, { endOfText: null }), vocab_size: vocabularySize };
  const larger = family.create(family.readConfig(config), new Initializer(model.backend, null));
  const old = new Map(family.tensors(model).map(({ name, parameter }) => [name, parameter]));
  for (const { name, parameter } of family.tensors(larger)) {
    const source = old.get(name);
    if (!source) throw new Error(`internal: ${name} is in the larger model only`);
    if (source.size === parameter.size) parameter.write(await source.floats());
    else parameter.write(withMeanRows(await source.floats(), source, parameter));
  }
  return larger;
}

function withMeanRows(values: Float32Array, source: Tensor, target: Tensor): Float32Array {
  const rows = source.axis(0);
  const width = source.size / rows; // 1 for a bias
  const out = new Float32Array(target.size);
  out.set(values);
  for (let column = 0; column < width; column++) {
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += values[row * width + column] ?? 0;
    for (let row = rows; row < target.axis(0); row++) out[row * width + column] = sum / rows;
  }
  return out;
}
