import type { Random } from "../core/random.ts";
import type { EmbeddingInput } from "../generate/embed.ts";
import { embeddingBatch } from "../generate/embed.ts";
import type { EmbeddingBatch, EmbeddingModel } from "../models/embedding-model.ts";
import { concat } from "../tensor/ops/movement.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { cosentLoss, cosineLoss, inBatchLoss, tripletLoss } from "./objectives/embedding.ts";
import type { MeasuredLoss } from "./run.ts";

/** A row of data as an embedding model reads it. */
export interface EncodedRow {
  readonly where: string;
  /** The row's texts: an anchor, what belongs to it, and what does not; or two that are compared. */
  readonly texts: readonly string[];
  readonly inputs: readonly EmbeddingInput[];
  readonly score: number | null;
}

/** Rows side by side: a block of each column. */
export interface EmbeddingTrainingBatch {
  readonly columns: readonly EmbeddingBatch[];
  /** `[rows]`; 0 where rows have none. */
  readonly scores: Float32Array;
  /** Whether a candidate of another row, counted through the columns behind the anchors, is none for an anchor. */
  readonly isNegative: (anchor: number, candidate: number) => boolean;
}

/** What embeddings learn by. */
export type EmbeddingLoss =
  | { readonly kind: "in-batch" | "cosent"; readonly scale: number }
  | { readonly kind: "triplet"; readonly margin: number }
  | { readonly kind: "cosine" };

/** Puts rows into blocks. */
export function embeddingTrainingBatch(rows: readonly EncodedRow[], context: number): EmbeddingTrainingBatch {
  const places = rows[0]?.inputs.map((_, place) => place) ?? [];
  const candidates = places.slice(1).flatMap((place) => rows.map(({ texts }) => texts[place] ?? ""));
  const rightFor = new Map<string, Set<string>>();
  for (const {
    texts: [anchor = "", positive = ""],
  } of rows) {
    rightFor.set(anchor, (rightFor.get(anchor) ?? new Set()).add(positive));
  }
  return {
    columns: places.map((place) =>
      embeddingBatch(
        rows.map(({ inputs }) => inputs[place] as EmbeddingInput),
        context,
      ),
    ),
    scores: Float32Array.from(rows, ({ score }) => score ?? 0),
    isNegative: (anchor, candidate) => {
      const text = rows[anchor]?.texts[0] ?? "";
      return !rightFor.get(text)?.has(candidates[candidate] ?? "");
    },
  };
}

/** The loss of a batch of rows. */
export function embeddingObjective(
  model: EmbeddingModel,
  batch: EmbeddingTrainingBatch,
  random: Random | null,
  loss: EmbeddingLoss,
  recompute: boolean,
): MeasuredLoss {
  const columns = batch.columns.map((column) => model.forward(column, random, { recompute }));
  return { loss: lossOf(columns, batch, loss), metrics: {} };
}

function lossOf(
  columns: readonly Tensor[],
  { scores, isNegative }: EmbeddingTrainingBatch,
  loss: EmbeddingLoss,
): Tensor {
  const [first, second, third] = columns;
  if (!first || !second) throw new Error("internal: a row has fewer than two texts");
  switch (loss.kind) {
    case "in-batch":
      return inBatchLoss(first, columns.length > 2 ? concat(columns.slice(1), 0) : second, loss.scale, isNegative);
    case "triplet":
      if (!third) throw new Error("internal: a triplet has two texts");
      return tripletLoss(first, second, third, loss.margin);
    case "cosent":
      return cosentLoss(first, second, scores, loss.scale);
    case "cosine":
      return cosineLoss(first, second, scores);
  }
}
