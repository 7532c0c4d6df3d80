import { parameters } from "../nn/parameters.ts";
import type { LanguageModel } from "./language-model.ts";

/**
 * Floating-point operations of a training step for each token: 6 for each weight of a matrix that multiplies (2 in the
 * forward pass, 4 backward), and 6 · context · width a layer for the half of the attention scores that causality leaves.
 * Tables that are only looked up cost nothing.
 *
 * @see Kaplan et al. (2020), table 1, arXiv:2001.08361.
 */
export function operationsPerToken(model: LanguageModel, context: number): number {
  const matrices = [...parameters(model)].filter(
    ([name, { shape }]) => shape.length > 1 && (!name.endsWith("Embedding") || shape === model.outputWeight.shape),
  );
  const weights = matrices.reduce((sum, [, { size }]) => sum + size, 0);
  const { layers = 0, width = 0 } = model.settings as { readonly layers?: number; readonly width?: number };
  return 6 * weights + 6 * layers * context * width;
}
