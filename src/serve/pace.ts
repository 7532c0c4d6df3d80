/** Tokens a second, of late: older ones count less and less. */
export class Pace {
  #total = 0;
  #last = 0;
  #perSecond = 0;

  get tokensPerSecond(): number {
    return this.#perSecond;
  }

  /** Takes the number of all tokens so far. */
  count(total: number, now = performance.now()): void {
    const seconds = (now - this.#last) / 1000;
    const tokens = total - this.#total;
    this.#total = total;
    this.#last = now;
    if (seconds <= 0 || seconds > longestStep || tokens <= 0) return;
    const share = 1 - Math.exp(-seconds / memory);
    this.#perSecond += (this.#perSecond === 0 ? 1 : share) * (tokens / seconds - this.#perSecond);
  }

  /** Another engine counts anew. */
  restart(): void {
    this.#total = 0;
    this.#last = 0;
  }
}

/** Seconds in which what was measured fades to a third. */
const memory = 5;

/** Seconds; what lies further apart was a pause. */
const longestStep = 5;
