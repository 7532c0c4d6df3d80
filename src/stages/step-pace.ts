import type { Metrics } from "../train/run.ts";
import type { StageRun } from "./stage.ts";

/** Steps whose durations are compared. */
const window = 15;

/**
 * How fast a run trains. The median of the last steps' durations counts, so that evaluations and checkpoints between
 * them do not.
 */
export class StepPace {
  readonly #run: Pick<StageRun, "operationsPerToken" | "peakOperationsPerSecond">;
  readonly #now: () => number;
  readonly #durations: number[] = [];
  #last: number;
  /** The first step of a process also reserves memory and warms up, and says nothing about the others. */
  #isFirst = true;

  /** `now` gives milliseconds. */
  constructor(
    run: Pick<StageRun, "operationsPerToken" | "peakOperationsPerSecond">,
    now: () => number = () => performance.now(),
  ) {
    this.#run = run;
    this.#now = now;
    this.#last = now();
  }

  /**
   * `tokens_per_second` and, where the run can tell, `peak_share` (0 … 1) for the metrics of a training step, which are
   * those with `tokens`; nothing for others, and for the first.
   */
  measure({ tokens }: Metrics): Metrics {
    const now = this.#now();
    const seconds = (now - this.#last) / 1000;
    this.#last = now;
    if (tokens === undefined) return {};
    if (this.#isFirst) {
      this.#isFirst = false;
      return {};
    }
    this.#durations.push(seconds);
    if (this.#durations.length > window) this.#durations.shift();
    const sorted = [...this.#durations].sort((a, b) => a - b);
    const perSecond = tokens / Math.max(sorted[sorted.length >> 1] ?? seconds, 1e-9);
    const { operationsPerToken, peakOperationsPerSecond } = this.#run;
    if (operationsPerToken === undefined || !peakOperationsPerSecond) {
      return { tokens_per_second: perSecond };
    }
    return { tokens_per_second: perSecond, peak_share: (perSecond * operationsPerToken) / peakOperationsPerSecond };
  }
}
