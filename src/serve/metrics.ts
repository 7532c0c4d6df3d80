/** What is measured, with the words that explain it. */
interface Family {
  readonly name: string;
  readonly help: string;
}

type Labels = Readonly<Record<string, string>>;

/** A number that only grows, one for each set of labels. */
export class Counter {
  readonly #family: Family;
  readonly #values = new Map<string, number>();

  constructor(family: Family, isLabelled = false) {
    this.#family = family;
    if (!isLabelled) this.#values.set("", 0); // what has not happened yet is 0, not missing
  }

  add(count: number, labels: Labels = {}): void {
    const key = written(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + count);
  }

  /** Over all labels. */
  get total(): number {
    return [...this.#values.values()].reduce((sum, value) => sum + value, 0);
  }

  lines(): string[] {
    const { name } = this.#family;
    return [...heading(this.#family, "counter"), ...[...this.#values].map(([key, value]) => `${name}${key} ${value}`)];
  }
}

/** A number as it is when it is asked for. */
export class Gauge {
  readonly #family: Family;
  readonly #value: () => number;

  constructor(family: Family, value: () => number) {
    this.#family = family;
    this.#value = value;
  }

  lines(): string[] {
    return [...heading(this.#family, "gauge"), `${this.#family.name} ${this.#value()}`];
  }
}

/** How often values were no larger than some bounds. */
export class Histogram {
  readonly #family: Family;
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(family: Family, bounds: readonly number[]) {
    this.#family = family;
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const at = this.#bounds.findIndex((bound) => value <= bound);
    const bucket = at < 0 ? this.#bounds.length : at;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  /** Values so far. */
  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /**
   * The value below which a share of all lies, as far as the bounds tell: values are taken to lie evenly between two of
   * them, as Prometheus does. What is above the last bound counts as that. Null without any value.
   */
  quantile(share: number): number | null {
    let left = share * this.count;
    if (this.count === 0) return null;
    for (const [i, count] of this.#counts.entries()) {
      const to = this.#bounds[i];
      if (to === undefined) break;
      const from = this.#bounds[i - 1] ?? 0;
      if (count > 0 && left <= count) return from + (to - from) * (left / count);
      left -= count;
    }
    return this.#bounds.at(-1) ?? null;
  }

  lines(): string[] {
    const { name } = this.#family;
    let total = 0;
    const buckets = this.#counts.map((count, i) => {
      total += count;
      return `${name}_bucket{le="${this.#bounds[i] ?? "+Inf"}"} ${total}`;
    });
    return [...heading(this.#family, "histogram"), ...buckets, `${name}_sum ${this.#sum}`, `${name}_count ${total}`];
  }
}

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What a server measures of itself, in the text format of Prometheus. */
export class Metrics {
  readonly requests = new Counter(family("requests_total", "Answers, by route and status."), true);
  readonly promptTokens = new Counter(family("prompt_tokens_total", "Tokens of prompts that were read."));
  readonly cachedTokens = new Counter(
    family("prompt_tokens_cached_total", "Tokens of prompts that a slot held already."),
  );
  readonly generatedTokens = new Counter(family("generated_tokens_total", "Tokens that were generated."));
  readonly engineFailures = new Counter(family("engine_failures_total", "Engines that died or were stuck."));
  readonly firstToken = new Histogram(
    family("time_to_first_token_seconds", "From a request to its first token."),
    seconds,
  );
  readonly betweenTokens = new Histogram(
    family("inter_token_latency_seconds", "Between two tokens of one sequence."),
    seconds,
  );
  readonly queued = new Histogram(family("queue_seconds", "From a request to its slot."), seconds);
  readonly batchRows = new Histogram(
    family("batch_rows", "Sequences that got a token in one step."),
    [1, 2, 4, 6, 8, 12, 16, 24, 32],
  );
  readonly #gauges: readonly Gauge[];

  /** @param now - What is under way whenever it is asked for. */
  constructor(now: { running(): number; waiting(): number; busySlots(): number }) {
    this.#gauges = [
      new Gauge(family("requests_running", "Sequences that have a slot or are on their way to one."), now.running),
      new Gauge(family("requests_waiting", "Sequences that wait."), now.waiting),
      new Gauge(family("slots_busy", "Slots that a sequence has."), now.busySlots),
    ];
  }

  text(): string {
    const own = [this.requests, this.promptTokens, this.cachedTokens, this.generatedTokens, this.engineFailures];
    const times = [this.firstToken, this.betweenTokens, this.queued, this.batchRows];
    return `${[...own, ...this.#gauges, ...times].flatMap((one) => one.lines()).join("\n")}\n`;
  }
}

function family(name: string, help: string): Family {
  return { name: `stemma_${name}`, help };
}

function heading({ name, help }: Family, kind: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`];
}

function written(labels: Labels): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return "";
  const escaped = (value: string): string =>
    value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return `{${entries.map(([key, value]) => `${key}="${escaped(value)}"`).join(",")}}`;
}
