const msPerMinute = 60_000;

/** Says when a run has gone on for so long that what it did since the last checkpoint should not be lost. */
export class SaveClock {
  readonly #intervalMs: number;
  #last = performance.now();

  /** @param minutes - Between checkpoints; 0 never says so. */
  constructor(minutes: number) {
    this.#intervalMs = minutes > 0 ? minutes * msPerMinute : Number.POSITIVE_INFINITY;
  }

  /** Whether it is time for a checkpoint. */
  get isDue(): boolean {
    return performance.now() - this.#last >= this.#intervalMs;
  }

  /** Begins to count anew: there is a checkpoint now, whatever it was saved for. */
  restart(): void {
    this.#last = performance.now();
  }
}
