import type { Parameter } from "../nn/parameters.ts";
import { parameters } from "../nn/parameters.ts";
import type { BertForPretraining } from "./bert.ts";
import type { EncoderDecoder } from "./encoder-decoder.ts";
import type { LanguageModel, StoredModel } from "./language-model.ts";

/** Sizes that models of most families have. */
interface Sizes {
  readonly layers?: number;
  readonly width?: number;
  readonly heads?: number;
  readonly headDim?: number;
  readonly experts?: number;
  readonly chosenExperts?: number;
}

/**
 * Floating-point operations of a training step for each token: 6 for each weight of a matrix that multiplies (2 in the
 * forward pass, 4 backward), and 6 · context · (width of all heads) a layer for the half of the attention scores that
 * causality leaves. Of routed experts those count that a token goes through. Tables that are only looked up cost nothing.
 *
 * @see Kaplan et al. (2020), table 1, arXiv:2001.08361.
 */
export function operationsPerToken(model: StoredModel & Pick<LanguageModel, "outputWeight">, context: number): number {
  const settings = model.settings as Sizes;
  const { layers = 0, width = 0, heads = 0, headDim = width / heads, experts = 1, chosenExperts = 1 } = settings;
  const share = (axes: number): number => (axes > 2 ? chosenExperts / experts : 1); // experts lie in one tensor
  const weights = matricesOf(model)
    .filter(([name, parameter]) => !name.endsWith("Embedding") || parameter === model.outputWeight)
    .reduce((sum, [, { size, shape }]) => sum + size * share(shape.length), 0);
  const scores = heads > 0 ? 6 * layers * context * heads * headDim : 0;
  return 6 * weights + scores;
}

/**
 * {@link operationsPerToken} of an encoder, whose tokens all see each other, and of which only the share `rate` goes
 * through the output layer.
 */
export function encoderOperationsPerToken(model: BertForPretraining, context: number, rate: number): number {
  const { layers, width } = model.settings;
  return operationsPerToken(model, context) + 6 * layers * context * width - 6 * (1 - rate) * model.outputWeight.size;
}

/**
 * {@link operationsPerToken} of an encoder-decoder that reads `time` tokens and writes `targetTime`; each token goes
 * through one of the stacks, those that are read also through keys and values of the decoder.
 */
export function textToTextOperationsPerToken(model: EncoderDecoder, time: number, targetTime: number): number {
  const { layers, decoderLayers, heads, headDim } = model.settings;
  const sizeOf = (part: object, isCounted = (_: string): boolean => true): number =>
    matricesOf(part)
      .filter(([name]) => isCounted(name) && !/^(bias\.|positionEmbedding$)/.test(name))
      .reduce((sum, [, { size }]) => sum + size, 0);
  const remembered = sizeOf(model.decoder, (name) => /\.cross\.(key|value)\./.test(name));
  const weights =
    time * (sizeOf(model.encoder) + remembered) +
    targetTime * (sizeOf(model.decoder) - remembered + model.outputWeight.size);
  const pairs = layers * time ** 2 + decoderLayers * (targetTime ** 2 / 2 + targetTime * time);
  return (6 * weights + 12 * heads * headDim * pairs) / (time + targetTime);
}

function matricesOf(part: object): [string, Parameter][] {
  return [...parameters(part)].filter(([, { shape }]) => shape.length > 1);
}
