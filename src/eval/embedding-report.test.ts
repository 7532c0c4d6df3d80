import { expect, test } from "vitest";
import { inOneGo } from "../core/event-loop.ts";
import { embeddingMetrics } from "./embedding-report.ts";

const vectors: Record<string, Float32Array> = {
  a: Float32Array.of(1, 0),
  b: Float32Array.of(0, 1),
  "a's": Float32Array.of(0.9, 0.1),
  "b's": Float32Array.of(0.8, 0.2),
  other: Float32Array.of(0.1, 0.9),
};
const vectorOf = (text: string): Float32Array => vectors[text] ?? new Float32Array(2);

test("anchors find what belongs to them at some place among all that are no anchors", () => {
  const texts = [
    ["a", "a's", "other"],
    ["b", "b's", "other"],
  ];
  // a finds its own first; b finds "other" before its own, which stands before "a's".
  expect(inOneGo(embeddingMetrics({ texts, scores: [null, null], vectorOf, similarity: "cosine" }))).toEqual({
    ...{ mrr_10: (1 + 1 / 2) / 2, recall_1: 0.5, recall_10: 1, triplet_accuracy: 0.5 },
  });
});

test("of two right ones the better counts, and an anchor is not its own answer", () => {
  const texts = [
    ["a", "a's"],
    ["a", "b"],
    ["b", "a"],
  ];
  const metrics = inOneGo(embeddingMetrics({ texts, scores: [null, null, null], vectorOf, similarity: "cosine" }));
  expect(metrics).toEqual({ mrr_10: (1 + 1 / 2) / 2, recall_1: 0.5, recall_10: 1 });
});

test("scores are compared by their order and by their size", () => {
  const texts = [
    ["a", "a's"],
    ["a", "b's"],
    ["a", "b"],
  ];
  const metrics = inOneGo(embeddingMetrics({ texts, scores: [5, 4, 0], vectorOf, similarity: "dot" }));
  expect(metrics.spearman).toBeCloseTo(1, 12);
  // Covariance 2.6 / √(0.48667 · 14), of 0.9, 0.8, 0 with 5, 4, 0.
  expect(metrics.pearson).toBeCloseTo(0.99608, 5);
});

test("others have their turn between two anchors", () => {
  const texts = Array.from({ length: 40 }, (_, i) => [`anchor ${i}`, `answer ${i}`]);
  const measuring = embeddingMetrics({ texts, scores: texts.map(() => null), vectorOf, similarity: "cosine" });
  let steps = 0;
  while (!measuring.next().done) steps += 1;
  expect(steps).toBe(40);
});
