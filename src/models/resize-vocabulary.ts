import { isWeightFormat } from "../backend/weight-formats.ts";
import type { Parameter } from "../nn/parameters.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ModelFamily } from "./family.ts";
import type { LanguageModel } from "./language-model.ts";
import { linearsOf } from "./low-rank-adapters.ts";
import { formatsLike } from "./weight-choice.ts";

/**
 * The same model with rows for more tokens. Each new row of the embedding, and of the output layer where that is
 * another matrix, is the mean of the old ones: a new token starts as an average word, and what the model says of the
 * old ones hardly changes. Those tables are float32 then; everything else stays as it lies in memory. The old model is not
 * to be used any more: its memory is the new one's, or given back.
 *
 * @see Hewitt (2021), "Initializing new word embeddings for pretrained language models".
 */
export async function resizeVocabulary(
  family: ModelFamily,
  model: LanguageModel,
  vocabularySize: number,
): Promise<LanguageModel> {
  const config = { ...family.writeConfig(model.settings, { endOfText: null }), vocab_size: vocabularySize };
  const create = (init: Initializer): LanguageModel => family.create(family.readConfig(config), init);
  const larger = create(new Initializer(model.backend, null, Number.POSITIVE_INFINITY, formatsLike(model, create)));
  const old = parameters(model);
  const layers = linearsOf(model);
  for (const [path, layer] of linearsOf(larger)) layer.added = layers.get(path)?.added ?? null;
  for (const [path, parameter] of parameters(larger)) {
    const source = old.get(path);
    if (!source) throw new Error(`internal: ${path} is in the larger model only`);
    if (source === parameter) continue;
    if (isWeightFormat(parameter.dtype)) takeOver(parameter, source);
    else if (source.size === parameter.size) parameter.write(await source.floats());
    else parameter.write(withMeanRows(await source.floats(), source, parameter));
    if (parameter.storage !== source.storage) source.release();
  }
  return larger;
}

/** Blocks are moved as they are: to write their numbers anew might round them. */
function takeOver(parameter: Parameter, source: Parameter): void {
  parameter.release();
  parameter.storage = source.storage;
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
