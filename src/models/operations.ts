import { parameters } from "../nn/parameters.ts";
import type { LanguageModel, StoredModel } from "./language-model.ts";

/** Sizes that models of most families have. */
interface Sizes {
  readonly layers?: number;
  readonly width?: number;
  readonly heads?: number;
  readonly experts?: number;
  readonly chosenExperts?: number;
}

/**
 * Floating-point operations of a training step for each token: 6 for each weight of a matrix that multiplies (2 in the
 * forward pass, 4 backward), and 6 · context · width a layer for the half of the attention scores that causality leaves.
 * Of routed experts those count that a token goes through. Tables that are only looked up cost nothing.
 *
 * @see Kaplan et al. (2020), table 1, arXiv:2001.08361.
 */
export function operationsPerToken(model: StoredModel & Pick<LanguageModel, "outputWeight">, context: number): number {
  const { layers = 0, width = 0, heads = 0, experts = 1, chosenExperts = 1 } = model.settings as Sizes;
  const matrices = [...parameters(model)].filter(
    ([name, { shape }]) => shape.length > 1 && (!name.endsWith("Embedding") || shape === model.outputWeight.shape),
  );
  const share = (axes: number): number => (axes > 2 ? chosenExperts / experts : 1); // experts lie in one tensor
  const weights = matrices.reduce((sum, [, { size, shape }]) => sum + size * share(shape.length), 0);
  const scores = heads > 0 ? 6 * layers * context * width : 0;
  return 6 * weights + scores;
}
