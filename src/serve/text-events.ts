import type { ScoredToken } from "../generate/sequence-request.ts";
import type { AnswerPiece } from "./answer-writer.ts";
import { AnswerWriter } from "./answer-writer.ts";
import type { Usage } from "./answers.ts";
import { ApiError } from "./api-error.ts";
import type { Generation, TaskEvent } from "./generation.ts";
import type { EncodedPrompt } from "./prompt-text.ts";

/** What a request has come to, so far. */
export type TextEvent =
  /** The prompt's own log-probabilities: before any of its pieces. */
  | { readonly type: "prompt"; readonly task: number; readonly tokens: readonly (ScoredToken | null)[] }
  | { readonly type: "piece"; readonly task: number; readonly copy: number; readonly piece: AnswerPiece };

/** Counts tokens, and turns them into texts: what streams and whole answers are both made from. */
export class TextEvents implements AsyncIterable<TextEvent> {
  readonly #generation: Generation;
  readonly #events: AsyncIterator<TaskEvent>;
  readonly #tasks: readonly EncodedPrompt[];
  readonly #stops: readonly string[];
  readonly #ends: readonly number[];
  readonly #writers = new Map<string, AnswerWriter>();
  /** Answers that a stop has ended. */
  readonly #stopped = new Set<string>();
  #first: IteratorResult<TaskEvent> | null = null;
  #cached = 0;
  #generated = 0;

  constructor(
    generation: Generation,
    tasks: readonly EncodedPrompt[],
    stops: readonly string[],
    ends: readonly number[],
  ) {
    this.#generation = generation;
    this.#events = generation.events[Symbol.asyncIterator]();
    this.#tasks = tasks;
    this.#stops = stops;
    this.#ends = ends;
  }

  /**
   * Waits until something has happened, so that a request that never gets a slot is refused by its status.
   *
   * @throws {ApiError} when it failed before.
   */
  async begin(): Promise<void> {
    this.#first = await this.#events.next();
  }

  /** Numbers of tokens so far. */
  get usage(): Usage {
    const prompt = this.#tasks.reduce((sum, { ids }) => sum + ids.length, 0);
    return {
      prompt_tokens: prompt,
      completion_tokens: this.#generated,
      total_tokens: prompt + this.#generated,
      prompt_tokens_details: { cached_tokens: this.#cached },
    };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TextEvent, void, undefined> {
    for (let next = this.#first ?? (await this.#events.next()); !next.done; next = await this.#events.next()) {
      const event = next.value;
      if (event.type === "started") this.#cached += event.cachedTokens;
      else if (event.type === "prompt") yield { type: "prompt", task: event.task, tokens: event.tokens };
      else yield* this.#token(event);
    }
  }

  *#token({ task, copy, token, finish }: Extract<TaskEvent, { type: "token" }>): Generator<TextEvent, void> {
    const key = `${task} ${copy}`;
    if (this.#stopped.has(key)) return; // it was computed before the engine heard of the stop
    this.#generated += 1;
    const piece = this.#writer(key, task).push(token, finish);
    if (finish === null && piece.finish !== null) {
      this.#stopped.add(key);
      this.#generation.cancel(task, copy);
    }
    yield { type: "piece", task, copy, piece };
  }

  #writer(key: string, task: number): AnswerWriter {
    const known = this.#writers.get(key);
    if (known) return known;
    const of = this.#tasks[task];
    if (of === undefined) throw new ApiError(500, "internal: an answer to nothing that was asked");
    const writer = new AnswerWriter(of.decoder(), this.#stops, this.#ends);
    this.#writers.set(key, writer);
    return writer;
  }
}
