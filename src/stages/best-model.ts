import type { LogRecord } from "../train/log.ts";

/** Which metric tells a better model. */
export interface BestMetric {
  readonly name: string;
  readonly isHigherBetter: boolean;
}

/** Knows which evaluation of a run was the best, and says when training has stopped to help. */
export class BestModel {
  readonly #metric: BestMetric;
  readonly #patience: number;
  readonly #enough = new AbortController();
  #best: number | null = null;
  #without = 0;

  /**
   * @param patience - Evaluations without a better one after which it is enough.
   * @param history - What was logged before, by the run that this one goes on from.
   */
  constructor(metric: BestMetric, patience: number, history: readonly LogRecord[]) {
    this.#metric = metric;
    this.#patience = patience;
    for (const record of history) {
      const value = record[metric.name];
      if (typeof value === "number") this.#count(value);
    }
    this.#stopWhenEnough(); // a run that was enough before is not trained on
  }

  /** Aborts when it is enough. */
  get enough(): AbortSignal {
    return this.#enough.signal;
  }

  /** Whether there has been any evaluation. */
  get exists(): boolean {
    return this.#best !== null;
  }

  /** Takes the metrics of an evaluation, and has the model kept when it is the best so far. */
  async offer(metrics: Readonly<Record<string, number>>, keep: () => Promise<void>): Promise<void> {
    const value = metrics[this.#metric.name];
    if (value === undefined) return;
    if (this.#count(value)) await keep();
    this.#stopWhenEnough();
  }

  #stopWhenEnough(): void {
    if (this.#without >= this.#patience) this.#enough.abort();
  }

  #count(value: number): boolean {
    const signed = this.#metric.isHigherBetter ? value : -value;
    const isBetter = this.#best === null || signed > this.#best;
    this.#without = isBetter ? 0 : this.#without + 1;
    if (isBetter) this.#best = signed;
    return isBetter;
  }
}
