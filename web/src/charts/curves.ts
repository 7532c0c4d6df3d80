import type { BucketColumns, MetricBuckets } from "../../../src/train/metric-buckets.ts";
import { axes } from "../../../src/train/metric-buckets.ts";

/** What stands along the bottom of charts. */
export type Axis = "step" | "tokens" | "time";

/** A run as a line of charts. */
export interface RunLine {
  readonly name: string;
  /** Which of the colours. */
  readonly place: number;
  readonly buckets: MetricBuckets;
  /** The newest values of the run, where they are in what is shown. */
  readonly newest: Readonly<Record<string, number>>;
}

/** A metric of one run, ready to be drawn. */
export interface Curve {
  /** Along the bottom: steps, tokens, or seconds. */
  readonly x: readonly number[];
  readonly mean: readonly number[];
  /** Smallest and largest value of each bucket; null where each has one value. */
  readonly low: readonly number[] | null;
  readonly high: readonly number[] | null;
  /** Values of each bucket. */
  readonly count: readonly number[];
  readonly steps: readonly number[];
}

/** The curve of a metric along an axis. Where nobody counted tokens or time there is none. */
export function curveOf(buckets: MetricBuckets, metric: string, axis: Axis): Curve {
  const columns = buckets.columns(metric);
  const { steps, means, counts, lows, highs } = columns;
  return {
    x: axis === "step" ? steps : alongAxis(steps, buckets.columns(axis === "tokens" ? axes.tokens : axes.seconds)),
    mean: means,
    low: lows ?? null,
    high: highs ?? null,
    count: counts ?? steps.map(() => 1),
    steps,
  };
}

/** What had come together at steps, in between those that are known. */
function alongAxis(steps: readonly number[], { steps: known, means }: BucketColumns): number[] {
  let at = 0;
  return steps.map((step) => {
    while (at < known.length - 1 && (known[at + 1] ?? 0) <= step) at += 1;
    const [left = 0, right = left] = [known[at], known[at + 1]];
    const [low = 0, high = low] = [means[at], means[at + 1]];
    return right === left ? low : low + ((high - low) * (step - left)) / (right - left);
  });
}

/** The step at a place along an axis: the inverse of how {@link curveOf} places them. */
export function stepAt(buckets: MetricBuckets, x: number, axis: Axis): number {
  if (axis === "step") return Math.max(0, Math.round(x));
  const { steps, means } = buckets.columns(axis === "tokens" ? axes.tokens : axes.seconds);
  return Math.max(0, Math.round(alongAxis([x], { steps: means, means: steps })[0] ?? 0));
}

/**
 * The mean of all values within a window around each place, `share` of the whole range wide. It is over values, not over
 * buckets: one with more of them weighs more.
 */
export function smoothed({ x, mean, count }: Curve, share: number): number[] {
  const half = (((x.at(-1) ?? 0) - (x[0] ?? 0)) * share) / 2;
  let [first, next, sum, values] = [0, 0, 0, 0];
  return x.map((center) => {
    for (; next < x.length && (x[next] ?? 0) <= center + half; next++) {
      sum += (mean[next] ?? 0) * (count[next] ?? 0);
      values += count[next] ?? 0;
    }
    for (; (x[first] ?? 0) < center - half; first++) {
      sum -= (mean[first] ?? 0) * (count[first] ?? 0);
      values -= count[first] ?? 0;
    }
    return sum / values;
  });
}

/** A few places of a curve for a table: the first, the last and what lies between at even distances. */
export function fewPlaces(length: number, most: number): number[] {
  if (length <= most) return Array.from({ length }, (_, i) => i);
  return Array.from({ length: most }, (_, i) => Math.round((i * (length - 1)) / (most - 1)));
}
