/** Lets asynchronous work on one thing run one after the other, in the order in which it was asked for. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `body` when all that was asked for before is over, whether that went well or not. */
  run<Result>(body: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(body);
    this.#last = result.catch(() => {}); // whoever asked for it hears of it
    return result;
  }

  /** Is fulfilled when all that was asked for until now is over. */
  async settled(): Promise<void> {
    await this.#last;
  }
}
