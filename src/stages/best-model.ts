import { join } from "node:path";
import type { ModelContents } from "../checkpoint/model-folder.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import type { LogRecord } from "../train/log.ts";

/** Keeps the best model of a run in its folder `best`, and says when training has stopped to help. */
export class BestModel {
  /** Where it is, once there is one. */
  readonly path: string;
  readonly #metric: string;
  readonly #patience: number;
  readonly #enough = new AbortController();
  #best = Number.NEGATIVE_INFINITY;
  #without = 0;

  /**
   * @param metric - The higher the better.
   * @param patience - Evaluations without a better one after which it is enough.
   * @param history - What was logged before, by the run that this one goes on from.
   */
  constructor(run: string, metric: string, patience: number, history: readonly LogRecord[]) {
    this.path = join(run, "best");
    this.#metric = metric;
    this.#patience = patience;
    for (const record of history) {
      const value = record[metric];
      if (typeof value === "number") this.#count(value);
    }
    this.#stopWhenEnough(); // a run that was enough before is not trained on
  }

  /** Aborts when it is enough. */
  get enough(): AbortSignal {
    return this.#enough.signal;
  }

  /** Whether any model has been kept. */
  get exists(): boolean {
    return this.#best > Number.NEGATIVE_INFINITY;
  }

  /** Takes the metrics of an evaluation, and the model when it is the best so far. */
  async offer(metrics: Readonly<Record<string, number>>, contents: () => ModelContents): Promise<void> {
    const value = metrics[this.#metric];
    if (value === undefined) return;
    if (this.#count(value)) await writeModelFolder(this.path, contents());
    this.#stopWhenEnough();
  }

  #stopWhenEnough(): void {
    if (this.#without >= this.#patience) this.#enough.abort();
  }

  #count(value: number): boolean {
    const isBetter = value > this.#best;
    this.#without = isBetter ? 0 : this.#without + 1;
    if (isBetter) this.#best = value;
    return isBetter;
  }
}
