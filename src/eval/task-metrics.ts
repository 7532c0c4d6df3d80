import { Random } from "../core/random.ts";

/** Which class each example is of, and which one a model gave. */
export interface ClassResults {
  readonly actual: ArrayLike<number>;
  readonly predicted: ArrayLike<number>;
  readonly classes: number;
}

/** Which score each example has, and which one a model gave. */
export interface ScoreResults {
  readonly actual: ArrayLike<number>;
  readonly predicted: ArrayLike<number>;
}

/** `[actual][predicted]`: how many examples. */
export function confusionMatrix({ actual, predicted, classes }: ClassResults): number[][] {
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < actual.length; i++) {
    const row = counts[actual[i] ?? 0];
    const column = predicted[i] ?? 0;
    if (row) row[column] = (row[column] ?? 0) + 1;
  }
  return counts;
}

/** Share of examples on the diagonal. */
export function accuracy(confusion: readonly (readonly number[])[]): number {
  return sum(confusion.map((row, i) => row[i] ?? 0)) / sum(confusion.map(sum));
}

/** Mean over classes of the harmonic mean of precision and recall; a class that nobody named and nobody is, is left out. */
export function macroF1(confusion: readonly (readonly number[])[]): number {
  const scores = confusion.flatMap((row, i) => {
    const named = sum(confusion.map((other) => other[i] ?? 0));
    const size = sum(row) + named;
    return size === 0 ? [] : [(2 * (row[i] ?? 0)) / size];
  });
  return sum(scores) / scores.length;
}

/**
 * Matthews' correlation of classes, for any number of them; 0 where one side is all one class.
 *
 * @see Gorodkin (2004), "Comparing two K-category assignments by a K-category correlation coefficient", equation 8.
 */
export function matthews(confusion: readonly (readonly number[])[]): number {
  const actual = confusion.map(sum);
  const predicted = confusion.map((_, i) => sum(confusion.map((row) => row[i] ?? 0)));
  const [all, right] = [sum(actual), sum(confusion.map((row, i) => row[i] ?? 0))];
  const dot = (a: readonly number[], b: readonly number[]): number => sum(a.map((x, i) => x * (b[i] ?? 0)));
  const spread = (all ** 2 - dot(actual, actual)) * (all ** 2 - dot(predicted, predicted));
  return spread === 0 ? 0 : (right * all - dot(actual, predicted)) / Math.sqrt(spread);
}

/** Pearson's correlation; 0 where one side does not vary. */
export function pearson({ actual, predicted }: ScoreResults): number {
  const [x, y] = [centred(actual), centred(predicted)];
  const size = Math.sqrt(sum(x.map((v) => v * v)) * sum(y.map((v) => v * v)));
  return size === 0 ? 0 : sum(x.map((v, i) => v * (y[i] ?? 0))) / size;
}

/** Spearman's correlation: Pearson's of the ranks, equal values sharing the mean of theirs. */
export function spearman({ actual, predicted }: ScoreResults): number {
  return pearson({ actual: ranks(actual), predicted: ranks(predicted) });
}

function ranks(values: ArrayLike<number>): number[] {
  const order = Array.from(values, (_, i) => i).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const out = new Array<number>(order.length).fill(0);
  for (let start = 0, end = 0; start < order.length; start = end) {
    const value = values[order[start] ?? 0];
    for (end = start; end < order.length && values[order[end] ?? 0] === value; end++);
    for (const i of order.slice(start, end)) out[i] = (start + end - 1) / 2;
  }
  return out;
}

/** Examples below which a report says that they are few. */
export const fewExamples = 100;

/**
 * Wilson's 95 % interval of a share that was seen in `count` trials. It is of use where a bootstrap is not: all of six right
 * leave it at 0.61 … 1.
 *
 * (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n), z = 1.96.
 *
 * @see Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22.
 */
export function wilsonInterval(share: number, count: number): [low: number, high: number] {
  const z = 1.959963984540054;
  const middle = share + z ** 2 / (2 * count);
  const reach = z * Math.sqrt((share * (1 - share)) / count + z ** 2 / (4 * count ** 2));
  const scale = 1 + z ** 2 / count;
  return [Math.max(0, (middle - reach) / scale), Math.min(1, (middle + reach) / scale)];
}

/** An estimate, and where 95 % of bootstrap samples lie. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Standard deviation of the samples. */
  readonly error: number;
}

/**
 * A metric of examples with its bootstrap interval: the metric of 1,000 samples of as many examples, drawn with
 * replacement.
 *
 * @param metric - Takes the places of the examples to count, each perhaps several times.
 * @see Efron & Tibshirani (1993), "An introduction to the bootstrap", section 13.3.
 */
export function bootstrap(count: number, metric: (places: ArrayLike<number>) => number, seed = 1): Estimate {
  const reader = new Random(seed).reader();
  const all = Uint32Array.from({ length: count }, (_, i) => i);
  const samples = Float64Array.from({ length: 1000 }, () => metric(all.map(() => reader.integer(count)))).sort();
  const at = (share: number): number => samples[Math.round(share * (samples.length - 1))] ?? Number.NaN;
  const mean = sum(samples) / samples.length;
  const error = Math.sqrt(sum(samples.map((value) => (value - mean) ** 2)) / (samples.length - 1));
  return { value: metric(all), low: at(0.025), high: at(0.975), error };
}

/** Every metric of classes that people quote, with intervals. */
export function classMetrics({ actual, predicted, classes }: ClassResults): Record<string, Estimate> {
  const of = (metric: (confusion: readonly (readonly number[])[]) => number): Estimate =>
    bootstrap(actual.length, (places) => metric(confusionMatrix(chosen({ actual, predicted, classes }, places))));
  return { accuracy: of(accuracy), f1: of(macroF1), matthews_correlation: of(matthews) };
}

/** Every metric of scores that people quote, with intervals. */
export function scoreMetrics(results: ScoreResults): Record<string, Estimate> {
  const of = (metric: (results: ScoreResults) => number): Estimate =>
    bootstrap(results.actual.length, (places) => metric(chosen(results, places)));
  return { pearson: of(pearson), spearman: of(spearman) };
}

function chosen<Results extends ScoreResults>(results: Results, places: ArrayLike<number>): Results {
  const pick = (values: ArrayLike<number>): Float64Array => Float64Array.from(places, (i) => values[i] ?? 0);
  return { ...results, actual: pick(results.actual), predicted: pick(results.predicted) };
}

/** The values less their mean. */
export function centred(values: ArrayLike<number>): number[] {
  const list = Array.from(values);
  const mean = sum(list) / list.length;
  return list.map((value) => value - mean);
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** Place of the largest value; the first of equal ones. */
export function indexOfLargest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) {
    if ((values[i] ?? Number.NaN) > (values[best] ?? Number.NaN)) best = i;
  }
  return best;
}
