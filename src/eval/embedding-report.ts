import type { Steps } from "../core/event-loop.ts";
import { similarity } from "../generate/similarity.ts";
import type { SimilarityName } from "../models/sentence-modules.ts";
import { pearson, spearman } from "./task-metrics.ts";

/** Rows whose texts have become vectors. */
export interface EmbeddedRows {
  /** Texts of each row: an anchor, what belongs to it, and what does not; or two that are compared. */
  readonly texts: readonly (readonly string[])[];
  readonly scores: readonly (number | null)[];
  /** The vector of a text at a place of its row: 0 for an anchor. */
  readonly vectorOf: (text: string, place: number) => Float32Array;
  readonly similarity: SimilarityName;
}

/** The metric by which the best model of a run is chosen: the higher the better. */
export function mainEmbeddingMetric(isScored: boolean): "spearman" | "mrr_10" {
  return isScored ? "spearman" : "mrr_10";
}

/**
 * How good embeddings are: of scored pairs the correlation of likeness and scores; else how well anchors find what belongs
 * to them among all other texts that are no anchors: the share that has it first (`recall_1`) and among the first ten,
 * and the mean of one over its place, 0 beyond the tenth (`mrr_10`). Rows with a negative add the share of those that
 * are less like the anchor than what belongs to it (`triplet_accuracy`).
 */
export function* embeddingMetrics({
  texts,
  scores,
  vectorOf,
  similarity: name,
}: EmbeddedRows): Steps<Record<string, number>> {
  const likeness = (a = "", b = ""): number => similarity(name, vectorOf(a, 0), vectorOf(b, 1));
  if (scores.some((score) => score !== null)) {
    const results = { actual: scores.map(Number), predicted: texts.map(([a, b]) => likeness(a, b)) };
    return { spearman: spearman(results), pearson: pearson(results) };
  }
  const places = yield* placing(texts, likeness);
  const share = (test: (place: number) => boolean): number => places.filter(test).length / places.length;
  const reciprocal = places.map((place) => (place <= 10 ? 1 / place : 0)).reduce((a, b) => a + b, 0);
  const negatives = texts.flatMap(([anchor, positive, ...others]) =>
    others.map((negative) => (likeness(anchor, positive) > likeness(anchor, negative) ? 1 : 0)),
  );
  return {
    mrr_10: reciprocal / places.length,
    recall_1: share((place) => place === 1),
    recall_10: share((place) => place <= 10),
    ...(negatives.length > 0 && {
      triplet_accuracy: negatives.reduce<number>((a, b) => a + b, 0) / negatives.length,
    }),
  };
}

/** Place of each different anchor's best match, from 1. A text as like as it stands before it. */
function* placing(texts: EmbeddedRows["texts"], likeness: (a?: string, b?: string) => number): Steps<number[]> {
  const candidates = new Set(texts.flatMap(([, ...others]) => others));
  const matches = new Map<string, Set<string>>();
  for (const [anchor = "", positive = ""] of texts) {
    matches.set(anchor, (matches.get(anchor) ?? new Set()).add(positive));
  }
  const places: number[] = [];
  for (const [anchor, own] of matches) {
    yield;
    const best = [...own].reduce((most, text) => Math.max(most, likeness(anchor, text)), Number.NEGATIVE_INFINITY);
    let place = 1;
    for (const text of candidates) {
      if (!own.has(text) && text !== anchor && likeness(anchor, text) >= best) place += 1;
    }
    places.push(place);
  }
  return places;
}

/** Metrics before training and after it, as lines to read. */
export function embeddingLines(
  rows: number,
  before: Readonly<Record<string, number>> | null,
  after: Readonly<Record<string, number>>,
): string[] {
  const was = (name: string): string => (before?.[name] === undefined ? "" : `  (before: ${before[name]?.toFixed(4)})`);
  return [
    `held out               ${rows} rows`,
    ...Object.entries(after).map(
      ([name, value]) => `${name.replaceAll("_", " ").padEnd(22)} ${value.toFixed(4)}${was(name)}`,
    ),
  ];
}
