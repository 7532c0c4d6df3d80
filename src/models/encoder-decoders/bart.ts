import type { EncoderDecoderSettings, StackDeviations } from "../encoder-decoder-settings.ts";
import { bartLike } from "./bart-like.ts";

const bartIds = { padding: 1, start: 2, end: 2 } as const;
const learned = { kind: "learned", offset: 2 } as const;

/**
 * BART; folders of `model_type` bart.
 *
 * @see Lewis et al. (2020), "BART: denoising sequence-to-sequence pre-training for natural language generation,
 * translation, and comprehension", arXiv:1910.13461.
 */
export const bart = bartLike({
  summary: "BART: encoder-decoder with learned positions",
  modelType: "bart",
  className: "BartForConditionalGeneration",
  normsBefore: false,
  embeddingNorm: true,
  positions: learned,
  ids: bartIds,
  activation: "gelu",
  scalesEmbedding: false,
});

/**
 * mBART: norms at the inputs of sub-layers, and at the end of each stack.
 *
 * @see Liu et al. (2020), "Multilingual denoising pre-training for neural machine translation", arXiv:2001.08210.
 */
export const mbart = bartLike({
  summary: "mBART: BART for many languages",
  modelType: "mbart",
  className: "MBartForConditionalGeneration",
  normsBefore: true,
  embeddingNorm: true,
  positions: learned,
  ids: bartIds,
  activation: "gelu",
  scalesEmbedding: true,
});

/**
 * The original Transformer: norms behind sums, sinusoidal positions, embeddings times √width, ReLU in what is made here.
 * Its folders are those of Marian, whose translation models have this shape; `model_type` marian.
 *
 * @see Vaswani et al. (2017), "Attention is all you need", arXiv:1706.03762; Junczys-Dowmunt et al. (2018), "Marian: fast
 * neural machine translation in C++", arXiv:1804.00344.
 */
export const transformer = bartLike({
  summary: "the original Transformer, as Marian's translation models have it",
  modelType: "marian",
  className: "MarianMTModel",
  normsBefore: false,
  embeddingNorm: false,
  positions: { kind: "sine" },
  ids: { padding: 58_100, start: 58_100, end: 0 },
  activation: "relu",
  scalesEmbedding: true,
  freshDeviations,
});

/** Embeddings that have the size of positions once they are multiplied by √width; the rest by Glorot's rule. */
function freshDeviations({ width, hidden }: EncoderDecoderSettings): StackDeviations {
  const square = 1 / Math.sqrt(width);
  const outward = Math.sqrt(2 / (width + hidden));
  return { embedding: square, query: square, inward: square, mixed: square, outward };
}

/**
 * Pegasus: norms at the inputs of sub-layers, and sinusoidal positions.
 *
 * @see Zhang et al. (2020), "PEGASUS: pre-training with extracted gap-sentences", arXiv:1912.08777.
 */
export const pegasus = bartLike({
  summary: "Pegasus: encoder-decoder that summarizes",
  modelType: "pegasus",
  className: "PegasusForConditionalGeneration",
  normsBefore: true,
  embeddingNorm: false,
  positions: { kind: "sine" },
  ids: { padding: 0, start: 0, end: 1 },
  activation: "relu",
  scalesEmbedding: true,
});
