import { PythonRandom } from "../core/python-random.ts";
import { confusionMatrix, macroF1, matthews } from "./task-metrics.ts";

/** What a metric makes of one prompt: a number; what is summed and by what it is divided; or right and chosen class. */
export type MetricValue = number | readonly [number, number];

/** How the values of all prompts become one figure. */
export interface Aggregation {
  readonly takes: "numbers" | "pairs";
  readonly of: (values: readonly MetricValue[]) => number;
  /** How its standard error is found; null where the harness gives none. */
  readonly error: "of the mean" | "bootstrap" | null;
}

type Pairs = readonly (readonly [number, number])[];

const numbers = (of: (values: readonly number[]) => number, error: Aggregation["error"]): Aggregation => ({
  takes: "numbers",
  of: (values) => of(values as readonly number[]),
  error,
});

const pairs = (of: (values: Pairs) => number, error: Aggregation["error"]): Aggregation => ({
  takes: "pairs",
  of: (values) => of(values as Pairs),
  error,
});

/** Aggregations by the harness's names. */
export const aggregations: Readonly<Record<string, Aggregation>> = {
  mean: numbers(mean, "of the mean"),
  median: numbers(
    (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN,
    "bootstrap",
  ),
  nanmean: numbers((values) => mean(values.filter((value) => !Number.isNaN(value))), "bootstrap"),
  perplexity: numbers((values) => Math.exp(-mean(values)), "bootstrap"),
  weighted_perplexity: pairs((values) => Math.exp(-weightedMean(values)), null),
  bits_per_byte: pairs((values) => -weightedMean(values) / Math.LN2, null),
  f1: pairs(binaryF1, "bootstrap"),
  matthews_corrcoef: pairs((values) => matthews(confusionOf(values)), "bootstrap"),
};

/**
 * Standard error of an aggregation; NaN where there is none, or for a single value.
 *
 * @param iterations - Samples of a bootstrap; 0 is no errors at all.
 */
export async function standardError(
  { of, error }: Aggregation,
  values: readonly MetricValue[],
  iterations: number,
): Promise<number> {
  if (error === null || values.length < 2 || iterations === 0) return Number.NaN;
  if (error === "bootstrap") return bootstrapError(of, values, iterations);
  return deviation(values as readonly number[]) / Math.sqrt(values.length);
}

/** Samples that one generator draws, as in the harness. */
const chunk = 1000;

/** Standard deviation of bootstrap samples: those that the harness draws, in chunks, each from a generator of its own. */
async function bootstrapError(
  of: Aggregation["of"],
  values: readonly MetricValue[],
  iterations: number,
): Promise<number> {
  const size = Math.min(chunk, iterations);
  const results: number[] = [];
  for (let seed = 0; seed < Math.floor(iterations / size); seed++) {
    const random = new PythonRandom(seed);
    const sample = [...values];
    for (let i = 0; i < size; i++) {
      for (let k = 0; k < sample.length; k++) {
        sample[k] = values[Math.floor(random.random() * values.length)] as MetricValue;
      }
      results.push(of(sample));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return deviation(results);
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function weightedMean(values: Pairs): number {
  const weights = values.reduce((sum, [, weight]) => sum + weight, 0);
  return values.reduce((sum, [value]) => sum + value, 0) / weights;
}

/** Of a sample. */
function deviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

function confusionOf(values: Pairs): number[][] {
  const [actual, predicted] = [values.map(([a]) => a), values.map(([, b]) => b)];
  const classes = 1 + values.reduce((most, [a, b]) => Math.max(most, a, b), 0);
  return confusionMatrix({ actual, predicted, classes });
}

/** Of class 1, as in the harness; of all classes where there are more than two. */
function binaryF1(values: Pairs): number {
  if (values.some(([a, b]) => a > 1 || b > 1)) return macroF1(confusionOf(values));
  const both = values.reduce((sum, [a, b]) => sum + a * b, 0);
  const size = values.reduce((sum, [a, b]) => sum + a + b, 0);
  return size === 0 ? 0 : (2 * both) / size;
}
