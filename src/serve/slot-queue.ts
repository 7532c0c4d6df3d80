import { ApiError } from "./api-error.ts";
import { keyLimits, patience } from "./limits.ts";

/** A request for some sequences that waits for its turn. */
export interface QueuedWork {
  /** Whose it is. */
  readonly owner: string;
  /** Sequences that it takes. */
  readonly sequences: number;
  /** Tokens that it may need, at most. */
  readonly tokens: number;
  /** Its turn has come. */
  readonly start: () => void;
  /** It has waited too long. */
  readonly refuse: (error: ApiError) => void;
}

/** How many may be under way at a time. */
export interface QueueLimits {
  readonly slots: number;
  /** Sequences that may wait. */
  readonly queue: number;
  /** Whether requests have owners that share them out. */
  readonly hasKeys: boolean;
}

/** Sequences more than there are slots that are sent ahead, so that a slot never waits for its next one. */
const ahead = 2;

/** Who may go on when: first come, first served within an owner, and round robin between owners. */
export class SlotQueue {
  readonly #limits: QueueLimits;
  /** By owner; an owner that had a turn goes to the end. */
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #running = new Map<string, number>();
  /** Tokens a second of late, to say how long it may take. */
  readonly #pace: () => number;
  /** Whether anything can be started now. */
  readonly #isOpen: () => boolean;

  constructor(limits: QueueLimits, pace: () => number, isOpen: () => boolean) {
    this.#limits = limits;
    this.#pace = pace;
    this.#isOpen = isOpen;
  }

  /** Sequences that were started and are not done. */
  get running(): number {
    return sum(this.#running.values());
  }

  /** Sequences that wait. */
  get waiting(): number {
    return sum(this.#all().map(({ work }) => work.sequences));
  }

  /** @throws {ApiError} 429 when no one else can wait: before anything is worked out for a request. */
  refuseIfFull(): void {
    if (this.waiting >= this.#limits.queue && this.#free() <= 0) throw this.#full();
  }

  /**
   * Lets requests wait, all or none.
   *
   * @returns a function that takes them back, as far as they still wait.
   * @throws {ApiError} 429 when the queue, or its owner's share of it, is full; 400 when they never fit.
   */
  enter(works: readonly QueuedWork[]): () => void {
    const [first] = works;
    if (first === undefined) return () => {};
    const { owner } = first;
    const asked = sum(works.map(({ sequences }) => sequences));
    const { slots, queue } = this.#limits;
    if (asked > slots + queue) throw tooMany(asked, slots + queue);
    if (this.waiting + asked > queue + (this.waiting === 0 ? this.#free() : 0)) throw this.#full();
    const own = this.#waiting.get(owner) ?? [];
    const ownWaiting = sum(own.map(({ work }) => work.sequences));
    const room = keyLimits.waiting + Math.max(0, keyLimits.running - (this.#running.get(owner) ?? 0));
    if (this.#limits.hasKeys && ownWaiting > 0 && ownWaiting + asked > room) throw this.#ownFull(ownWaiting);
    const entries = works.map((work): Waiting => {
      const timer = setTimeout(() => this.#giveUp(entries.find((entry) => entry.work === work)), patience.queueMs);
      return { work, timer };
    });
    this.#waiting.set(owner, [...own, ...entries]);
    this.advance();
    return () => {
      for (const entry of entries) this.#remove(entry);
    };
  }

  /** A sequence of an owner is done. */
  leave(owner: string, sequences = 1): void {
    const left = (this.#running.get(owner) ?? 0) - sequences;
    if (left > 0) this.#running.set(owner, left);
    else this.#running.delete(owner);
    this.advance();
  }

  /** Starts what can be started. */
  advance(): void {
    while (this.#isOpen()) {
      const next = this.#next();
      if (next === null) return;
      const { owner, sequences } = next.work;
      this.#remove(next);
      const others = this.#waiting.get(owner);
      this.#waiting.delete(owner);
      if (others !== undefined) this.#waiting.set(owner, others); // behind the other owners
      this.#running.set(owner, (this.#running.get(owner) ?? 0) + sequences);
      next.work.start();
    }
  }

  /** Gives up all that wait. */
  clear(error: ApiError): void {
    for (const entry of this.#all()) {
      this.#remove(entry);
      entry.work.refuse(error);
    }
  }

  #next(): Waiting | null {
    const room = this.#limits.slots + ahead - this.running;
    for (const [owner, [first]] of this.#waiting) {
      const own = this.#running.get(owner) ?? 0;
      if (first === undefined || (this.#limits.hasKeys && own >= keyLimits.running)) continue;
      // What takes more than there will ever be goes alone.
      if (first.work.sequences <= room || this.running === 0) return first;
      return null; // no one goes past who waits for more slots
    }
    return null;
  }

  #free(): number {
    return Math.max(0, this.#limits.slots - this.running);
  }

  #all(): Waiting[] {
    return [...this.#waiting.values()].flat();
  }

  #remove(entry: Waiting): void {
    clearTimeout(entry.timer);
    const { owner } = entry.work;
    const left = (this.#waiting.get(owner) ?? []).filter((other) => other !== entry);
    if (left.length > 0) this.#waiting.set(owner, left);
    else this.#waiting.delete(owner);
  }

  #giveUp(entry: Waiting | undefined): void {
    if (entry === undefined) return;
    this.#remove(entry);
    const code = this.#isOpen() ? "queue_timeout" : "loading";
    const message = `the request waited ${patience.queueMs / 1000} s for a slot; try again, or start the server with more --slots`;
    entry.work.refuse(new ApiError(503, message, { code, retryAfter: this.#wait() }));
  }

  #full(): ApiError {
    return new ApiError(
      429,
      `the queue is full: ${this.waiting} of ${this.#limits.queue} sequences wait; try again later`,
      {
        code: "queue_full",
        retryAfter: this.#wait(),
      },
    );
  }

  #ownFull(waiting: number): ApiError {
    const message = `this key has ${waiting} of ${keyLimits.waiting} sequences that may wait; await answers before asking more`;
    return new ApiError(429, message, { code: "key_limit", retryAfter: this.#wait() });
  }

  /** Seconds until what waits now has been worked off, from 1 to 60. */
  #wait(): number {
    const tokens = sum(this.#all().map(({ work }) => work.tokens));
    return Math.min(60, Math.max(1, Math.ceil(tokens / Math.max(this.#pace(), 1))));
  }
}

function tooMany(asked: number, most: number): ApiError {
  const message = `prompt and n ask for ${asked} answers at a time, this server has slots and queue for ${most}; ask for fewer`;
  return new ApiError(400, message, { param: "n", code: "too_many_answers" });
}

interface Waiting {
  readonly work: QueuedWork;
  readonly timer: NodeJS.Timeout;
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
