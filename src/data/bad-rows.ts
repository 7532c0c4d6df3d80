import { DataError } from "../core/errors.ts";

/** What may be done with rows that cannot be used: end with an error, or leave them out and say so. */
export const badRowChoices = ["error", "skip"] as const;

/** One of {@link badRowChoices}. */
export type BadRowChoice = (typeof badRowChoices)[number];

/** Reasons that are kept of those for which rows were left out. */
const mostReasons = 3;

/**
 * Watches rows being read: refuses the first bad one, or counts them all and remembers why the first few were bad; and
 * hears between two rows that reading is to end.
 */
export class BadRows {
  readonly choice: BadRowChoice;
  readonly #reasons: string[] = [];
  readonly #signal: AbortSignal | undefined;
  #count = 0;

  /** @param signal - Ends the reading, with its reason as the error. */
  constructor(choice: BadRowChoice = "error", signal?: AbortSignal) {
    this.choice = choice;
    this.#signal = signal;
  }

  /** Rows left out so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * What reading a row gives; undefined for a bad row that is left out.
   *
   * @throws {DataError} of the row, where bad rows are errors.
   * @throws {unknown} the signal's reason, when it is aborted.
   */
  attempt<Item>(read: () => Item): Item | undefined {
    this.#signal?.throwIfAborted();
    try {
      return read();
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      this.add(error);
      return undefined;
    }
  }

  /** Counts a bad row. @throws {DataError} itself, where bad rows are errors. */
  add(error: DataError): void {
    if (this.choice === "error") throw error;
    this.#count += 1;
    if (this.#reasons.length < mostReasons) this.#reasons.push(error.message);
  }

  /**
   * Makes sure that rows are left.
   *
   * @throws {DataError} naming the first reason, when every row was bad.
   */
  refuseNone(kept: number): void {
    if (kept > 0 || this.#count === 0) return;
    const all = this.#count === 1 ? "the only row is bad" : `all ${this.#count} rows are bad`;
    throw new DataError(`data: ${all}; the first: ${this.#reasons[0]}`);
  }

  /** What there is to say: how many rows were left out, and why the first few were; nothing where there were none. */
  notes(): string[] {
    if (this.#count === 0) return [];
    const more = this.#count - this.#reasons.length;
    return [
      `left out ${this.#count} bad ${this.#count === 1 ? "row" : "rows"}:`,
      ...this.#reasons.map((reason) => `  ${reason}`),
      ...(more > 0 ? [`  and ${more} more`] : []),
    ];
  }
}
