import type { SimilarityName } from "../models/sentence-modules.ts";

/** How alike two vectors are: the larger, the more. Distances are negative. */
export function similarity(name: SimilarityName, a: Float32Array, b: Float32Array): number {
  switch (name) {
    case "cosine":
      return dot(a, b) / Math.max(Math.sqrt(dot(a, a) * dot(b, b)), 1e-24);
    case "dot":
      return dot(a, b);
    case "euclidean":
      return -Math.sqrt(a.reduce((sum, x, i) => sum + (x - (b[i] ?? 0)) ** 2, 0));
    case "manhattan":
      return -a.reduce((sum, x, i) => sum + Math.abs(x - (b[i] ?? 0)), 0);
  }
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

/** One of some vectors, and how alike it is to what was searched for. */
export interface Neighbour {
  readonly index: number;
  readonly similarity: number;
}

/** The `count` vectors most like a query, the most alike first; of equals the earlier. */
export function nearestVectors(
  query: Float32Array,
  vectors: readonly Float32Array[],
  count: number,
  name: SimilarityName = "cosine",
): Neighbour[] {
  return vectors
    .map((vector, index) => ({ index, similarity: similarity(name, query, vector) }))
    .sort((a, b) => b.similarity - a.similarity || a.index - b.index)
    .slice(0, count);
}
