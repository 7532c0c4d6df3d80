/** What someone else puts in, one after the other, for one who takes it out with `for await`. */
export class EventQueue<Item> implements AsyncIterable<Item> {
  #items: Item[] = [];
  #isEnded = false;
  #error: unknown = null;
  #wake: (() => void) | null = null;

  push(item: Item): void {
    if (this.#isEnded) return;
    this.#items.push(item);
    this.#wake?.();
  }

  /** Nothing comes any more; with an error, whoever takes gets that behind all that is there. */
  end(error: unknown = null): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = error;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for (;;) {
      const items = this.#items;
      this.#items = [];
      yield* items;
      if (this.#items.length > 0) continue;
      if (this.#isEnded) {
        if (this.#error !== null) throw this.#error;
        return;
      }
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
      this.#wake = null;
    }
  }
}
