import { DataError, SettingsError } from "../core/errors.ts";
import type { EmbeddingRow } from "../data/embedding-rows.ts";
import type { EmbeddingLoss } from "../train/embedding-batch.ts";
import type { FinetuneSettings } from "./finetune-settings.ts";

type LossKind = EmbeddingLoss["kind"];

/** Losses that rows with scores have. */
const scoredLosses: readonly LossKind[] = ["cosent", "cosine"];

/** Whether rows are pairs with scores, rather than anchors with what belongs to them. */
export function isScored(rows: readonly { readonly score: number | null }[]): boolean {
  return rows.some(({ score }) => score !== null);
}

/**
 * What embeddings learn by from some rows.
 *
 * @throws {SettingsError} when the loss is not one of such rows, or an option not one of the loss.
 * @throws {DataError} when a score is none that the loss can compare with.
 */
export function lossFor(
  settings: Pick<FinetuneSettings, "loss" | "scale" | "margin" | "batchSize">,
  rows: readonly EmbeddingRow[],
): EmbeddingLoss {
  const kind = settings.loss ?? (isScored(rows) ? "cosent" : "in-batch");
  refuseOtherRows(kind, rows);
  refuseOtherOptions(kind, settings);
  const texts = rows[0]?.texts.length ?? 0;
  if (settings.batchSize === 1 && (kind === "cosent" || (kind === "in-batch" && texts < 3))) {
    throw new SettingsError(`batch-size: the loss ${kind} compares rows of a batch, and 1 has no other; raise it`);
  }
  if (kind === "triplet") return { kind, margin: settings.margin ?? 1 };
  return kind === "cosine" ? { kind } : { kind, scale: settings.scale ?? 20 };
}

function refuseOtherRows(kind: LossKind, rows: readonly EmbeddingRow[]): void {
  if (scoredLosses.includes(kind) !== isScored(rows)) {
    const has = isScored(rows) ? "scores; choose cosent or cosine" : "no scores; choose in-batch or triplet";
    throw new SettingsError(`loss: ${kind} is not for these rows, which have ${has}`);
  }
  const texts = rows[0]?.texts.length ?? 0;
  if (kind === "triplet" && texts !== 3) {
    throw new SettingsError(`loss: triplet takes an anchor, a positive and a negative; the rows have ${texts} texts`);
  }
  const large = kind === "cosine" ? rows.find(({ score }) => Math.abs(score ?? 0) > 1) : undefined;
  if (!large) return;
  throw new DataError(
    `${large.where}: its score is ${large.score}, and the loss cosine compares it with a cosine, from -1 to 1; divide scores by ` +
      "the largest, or choose --loss cosent, which reads their order alone",
  );
}

function refuseOtherOptions(kind: LossKind, { scale, margin }: Pick<FinetuneSettings, "scale" | "margin">): void {
  if (margin !== null && kind !== "triplet")
    throw new SettingsError(`margin: is for the loss triplet, not for ${kind}`);
  if (scale !== null && (kind === "triplet" || kind === "cosine")) {
    throw new SettingsError(`scale: is for the losses in-batch and cosent, not for ${kind}`);
  }
}
