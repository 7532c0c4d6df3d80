import { expect, test } from "vitest";
import {
  accuracy,
  bootstrap,
  classMetrics,
  confusionMatrix,
  macroF1,
  matthews,
  pearson,
  spearman,
  wilsonInterval,
} from "./task-metrics.ts";

// Values of scikit-learn and SciPy for the same lists.
const actual = [0, 1, 2, 2, 1, 0, 2, 1, 0, 2];
const predicted = [0, 2, 2, 2, 1, 0, 1, 1, 1, 2];
const confusion = confusionMatrix({ actual, predicted, classes: 3 });

test("metrics of classes", () => {
  expect(confusion).toEqual([
    [2, 1, 0],
    [0, 2, 1],
    [0, 1, 3],
  ]);
  expect(accuracy(confusion)).toBeCloseTo(0.7, 12);
  // f1: 2·2/(3+2) = 0.8, 2·2/(3+4) = 4/7, 2·3/(4+4) = 0.75
  expect(macroF1(confusion)).toBeCloseTo((0.8 + 4 / 7 + 0.75) / 3, 12);
  // (c·s − Σ p t) / √((s² − Σp²)(s² − Σt²)) = (70 − 34) / √(58 · 66)
  expect(matthews(confusion)).toBeCloseTo((7 * 10 - (3 * 2 + 3 * 4 + 4 * 4)) / Math.sqrt((100 - 36) * (100 - 34)), 12);
});

test("a class that nobody is and nobody named does not count; one side all alike has no correlation", () => {
  const three = confusionMatrix({ actual: [0, 1], predicted: [0, 0], classes: 3 });
  expect(macroF1(three)).toBeCloseTo((2 / 3 + 0) / 2, 12);
  expect(matthews(three)).toBe(0);
});

test("two classes give the usual correlation", () => {
  const binary = confusionMatrix({ actual: [1, 1, 1, 0, 0], predicted: [1, 1, 0, 0, 1], classes: 2 });
  const [tp, tn, fp, fn] = [2, 1, 1, 1];
  const usual = (tp * tn - fp * fn) / Math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn));
  expect(matthews(binary)).toBeCloseTo(usual, 12);
});

test("correlations, with ties", () => {
  const results = { actual: [1, 2, 3, 4, 5], predicted: [2, 2, 4, 8, 16] };
  expect(pearson(results)).toBeCloseTo(0.911_296, 5);
  expect(spearman(results)).toBeCloseTo(0.974_679, 5);
  expect(pearson({ actual: [1, 1], predicted: [0, 5] })).toBe(0);
});

test("an interval holds the value, is the same each time, and shrinks with the examples", () => {
  const width = (count: number): number => {
    const values = Array.from({ length: count }, (_, i) => i % 2);
    const { value, low, high } = bootstrap(count, (places) => mean(Array.from(places, (i) => values[i] ?? 0)));
    expect(value).toBe(0.5);
    expect(low).toBeLessThan(0.5);
    expect(high).toBeGreaterThan(0.5);
    return high - low;
  };
  expect(width(400)).toBeLessThan(0.7 * width(100));
  expect(width(400)).toBeCloseTo((2 * 1.96 * 0.5) / 20, 1);
  const results = { actual, predicted, classes: 3 };
  expect(classMetrics(results)).toEqual(classMetrics(results));
});

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

// Values of SciPy: binomtest(right, count).proportion_ci(method="wilson").
test.each([
  [6, 6, 0.6096657, 1],
  [0, 10, 0, 0.2775328],
  [7, 10, 0.3967781, 0.8922087],
  [80, 100, 0.7111708, 0.8666331],
])("%d of %d right may be from %d to %d in truth", (right, count, low, high) => {
  const interval = wilsonInterval(right / count, count);
  expect(interval[0]).toBeCloseTo(low, 6);
  expect(interval[1]).toBeCloseTo(high, 6);
});
