/** A GPT-2 and the batch it is trained on. */
export interface TrainingShape {
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly context: number;
  /** Sequences in a step. */
  readonly batch: number;
  readonly vocabulary: number;
}

/** The fixed shapes: small enough for a demonstration, for a laptop's evening, and GPT-2 as published. */
export const shapes = {
  S: { layers: 4, heads: 4, width: 128, context: 64, batch: 12, vocabulary: 256 },
  M: { layers: 6, heads: 6, width: 384, context: 256, batch: 8, vocabulary: 4096 },
  L: { layers: 12, heads: 12, width: 768, context: 256, batch: 4, vocabulary: 50_304 },
} as const satisfies Record<string, TrainingShape>;

/** Name of a fixed shape. */
export type ShapeName = keyof typeof shapes;

/**
 * Floating-point operations of one training step: 6 for each weight of a matrix and token (2 forward, 4 backward), and
 * for attention 6 · time · width a layer and token, counting only the half of the scores that causality leaves.
 */
export function stepFlops({ layers, width, context, batch, vocabulary }: TrainingShape): number {
  const weights = layers * 12 * width ** 2 + vocabulary * width;
  return batch * context * (6 * weights + 6 * layers * context * width);
}
