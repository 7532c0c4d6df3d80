/** Buckets of a metric, at most: more than a screen has columns. */
export const mostBuckets = 2048;

/** Numbers of a bucket: how many values, their sum, the smallest, the largest, the sum of their steps. */
const stride = 5;

/** What is known of one metric in each bucket that has a value. */
export interface BucketColumns {
  /** Mean of the steps. */
  readonly steps: readonly number[];
  readonly means: readonly number[];
  /** Left out where every bucket has one value. */
  readonly counts?: readonly number[] | undefined;
  readonly lows?: readonly number[] | undefined;
  readonly highs?: readonly number[] | undefined;
}

/** The metrics of a run, or of a part of it, as they travel. */
export interface BucketState {
  /** Steps of a bucket. */
  readonly width: number;
  /** Step at which the first begins. */
  readonly origin: number;
  /** Tokens trained on, and seconds that took, until the last step. */
  readonly tokens: number;
  readonly seconds: number;
  readonly series: Readonly<Record<string, BucketColumns>>;
}

/** Names of what is added up beside the metrics, for axes other than steps. */
export const axes = { tokens: "axis/tokens", seconds: "axis/seconds" } as const;

/** One metric in buckets. */
class Series {
  #numbers = new Float64Array(64 * stride);
  #size = 0;

  add(bucket: number, step: number, value: number): void {
    const at = bucket * stride;
    if (at >= this.#numbers.length) this.#grow(bucket);
    if (bucket >= this.#size) this.#size = bucket + 1;
    const numbers = this.#numbers;
    const count = numbers[at] ?? 0;
    numbers[at] = count + 1;
    numbers[at + 1] = (numbers[at + 1] ?? 0) + value;
    if (count === 0 || value < (numbers[at + 2] ?? 0)) numbers[at + 2] = value;
    if (count === 0 || value > (numbers[at + 3] ?? 0)) numbers[at + 3] = value;
    numbers[at + 4] = (numbers[at + 4] ?? 0) + step;
  }

  #addAll(
    bucket: number,
    { count, sum, low, high, steps }: { count: number; sum: number; low: number; high: number; steps: number },
  ): void {
    const at = bucket * stride;
    if (at >= this.#numbers.length) this.#grow(bucket);
    if (bucket >= this.#size) this.#size = bucket + 1;
    const numbers = this.#numbers;
    const isFirst = numbers[at] === 0;
    numbers[at] = (numbers[at] ?? 0) + count;
    numbers[at + 1] = (numbers[at + 1] ?? 0) + sum;
    numbers[at + 2] = isFirst ? low : Math.min(numbers[at + 2] ?? low, low);
    numbers[at + 3] = isFirst ? high : Math.max(numbers[at + 3] ?? high, high);
    numbers[at + 4] = (numbers[at + 4] ?? 0) + steps;
  }

  #grow(bucket: number): void {
    const grown = new Float64Array(Math.max(this.#numbers.length * 2, (bucket + 1) * stride));
    grown.set(this.#numbers);
    this.#numbers = grown;
  }

  /** Two buckets become one. */
  halve(): void {
    const old = this.#numbers;
    const size = this.#size;
    this.#numbers = new Float64Array(old.length);
    this.#size = 0;
    for (let bucket = 0; bucket < size; bucket++) {
      const [count = 0, sum = 0, low = 0, high = 0, steps = 0] = old.subarray(bucket * stride, (bucket + 1) * stride);
      if (count > 0) this.#addAll(bucket >> 1, { count, sum, low, high, steps });
    }
  }

  columns(): BucketColumns {
    const [steps, means]: [number[], number[]] = [[], []];
    const [counts, lows, highs]: [number[], number[], number[]] = [[], [], []];
    for (let at = 0; at < this.#size * stride; at += stride) {
      const [count = 0, sum = 0, low = 0, high = 0, stepSum = 0] = this.#numbers.subarray(at, at + stride);
      if (count === 0) continue;
      steps.push(stepSum / count);
      means.push(sum / count);
      counts.push(count);
      lows.push(low);
      highs.push(high);
    }
    return counts.every((count) => count === 1) ? { steps, means } : { steps, means, counts, lows, highs };
  }

  /** Puts columns back among buckets. */
  static from({ steps, means, counts, lows, highs }: BucketColumns, bucketOf: (step: number) => number): Series {
    const series = new Series();
    for (const [i, step] of steps.entries()) {
      const mean = means[i] ?? Number.NaN;
      const count = counts?.[i] ?? 1;
      const range = { low: lows?.[i] ?? mean, high: highs?.[i] ?? mean };
      series.#addAll(bucketOf(step), { count, sum: mean * count, ...range, steps: step * count });
    }
    return series;
  }
}

/**
 * The metrics of a run over its steps in at most 2048 buckets, each with the number of its values, their mean, minimum and
 * maximum: nothing is left out, however long the run. Where a step lies beyond the last bucket, all become twice as wide.
 */
export class MetricBuckets {
  /** Steps of a bucket. */
  width: number;
  readonly origin: number;
  tokens = 0;
  seconds = 0;
  readonly #series = new Map<string, Series>();
  readonly #onWiden: () => void;

  /** `onWiden` is called when two buckets became one, for what is kept beside them. */
  constructor({ origin = 0, width = 1, onWiden = () => {} }: Partial<BucketPlan> = {}) {
    this.origin = origin;
    this.width = width;
    this.#onWiden = onWiden;
  }

  /** Metrics that have a value, in the order in which they came. */
  get names(): string[] {
    return [...this.#series.keys()];
  }

  /** The bucket of a step, after widening all until there is one. */
  bucketOf(step: number): number {
    while (step - this.origin >= this.width * mostBuckets) {
      this.width *= 2;
      for (const series of this.#series.values()) series.halve();
      this.#onWiden();
    }
    return Math.floor((step - this.origin) / this.width);
  }

  /**
   * Adds one line of a log, the first `count` of its names and values. Of a step before the origin, only tokens and seconds
   * count.
   */
  add(step: number, names: readonly string[], values: readonly number[], count = names.length): void {
    const bucket = step < this.origin ? null : this.bucketOf(step);
    let [tokens, pace] = [0, 0];
    for (let i = 0; i < count; i++) {
      const name = names[i] ?? "";
      const value = values[i] ?? 0;
      if (bucket !== null) this.#of(name).add(bucket, step, value);
      if (name === "tokens") tokens = value;
      else if (name === "tokens_per_second") pace = value;
    }
    if (tokens > 0) this.#count(bucket, step, tokens, pace);
  }

  #count(bucket: number | null, step: number, tokens: number, pace: number): void {
    this.tokens += tokens;
    if (pace > 0) this.seconds += tokens / pace;
    if (bucket === null) return;
    this.#of(axes.tokens).add(bucket, step, this.tokens);
    this.#of(axes.seconds).add(bucket, step, this.seconds);
  }

  #of(name: string): Series {
    let series = this.#series.get(name);
    if (series === undefined) {
      series = new Series();
      this.#series.set(name, series);
    }
    return series;
  }

  /** A metric's columns; empty where it has none. */
  columns(name: string): BucketColumns {
    return this.#series.get(name)?.columns() ?? { steps: [], means: [] };
  }

  /** All of it, or only some metrics and the axes, as plain data. */
  state(names: readonly string[] = this.names): BucketState {
    const asked = new Set([...names, ...Object.values(axes)]);
    const { width, origin, tokens, seconds } = this;
    const chosen = this.names.filter((name) => asked.has(name));
    return {
      ...{ width, origin, tokens, seconds },
      series: Object.fromEntries(chosen.map((name) => [name, this.columns(name)])),
    };
  }

  /** What {@link MetricBuckets.state} gave, to be added to. */
  static from({ width, origin, tokens, seconds, series }: BucketState): MetricBuckets {
    const buckets = new MetricBuckets({ origin, width });
    Object.assign(buckets, { tokens, seconds });
    for (const [name, columns] of Object.entries(series)) {
      buckets.#series.set(
        name,
        Series.from(columns, (step) => buckets.bucketOf(step)),
      );
    }
    return buckets;
  }
}

/** How buckets begin. */
interface BucketPlan {
  readonly origin: number;
  readonly width: number;
  readonly onWiden: () => void;
}
