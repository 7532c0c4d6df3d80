import type { ChatMessage } from "../text/chat-message.ts";
import { assistantRole } from "../text/chat-message.ts";

/** A conversation that grows by what is said and answered. */
export abstract class Conversation {
  readonly #head: readonly ChatMessage[];
  #turns: readonly ChatMessage[] = [];

  /** @param system - What the conversation starts with; none when empty. */
  constructor(system: string) {
    this.#head = system === "" ? [] : [{ role: "system", content: system }];
  }

  /** The whole conversation, turns that the model no longer reads included. */
  get messages(): readonly ChatMessage[] {
    return [...this.#head, ...this.#turns];
  }

  /**
   * The next turn of the assistant, piece by piece; what cannot be answered is refused before the first.
   *
   * @param turns - Without the system's.
   * @param signal - Ends the answer, with its reason as the error.
   */
  protected abstract answerTo(turns: readonly ChatMessage[], signal: AbortSignal | undefined): AsyncIterable<string>;

  /**
   * Says something and gives the answer, piece by piece. Leaving the loop early keeps what came so far as the answer, and
   * so does `signal`, whose reason is then the error. Where there is another error before anything came, the conversation
   * is as before.
   */
  async *say(text: string, signal?: AbortSignal): AsyncGenerator<string, void, undefined> {
    yield* this.#answer([...this.#turns, { role: "user", content: text }], signal);
  }

  /** Takes the last answer back and gives another. Gives nothing when nothing was said yet. See {@link say} for `signal`. */
  async *retry(signal?: AbortSignal): AsyncGenerator<string, void, undefined> {
    const turns = this.#turns.at(-1)?.role === assistantRole ? this.#turns.slice(0, -1) : this.#turns;
    if (turns.length > 0) yield* this.#answer(turns, signal);
  }

  /** Forgets everything but the system prompt. */
  reset(): void {
    this.#turns = [];
  }

  async *#answer(
    turns: readonly ChatMessage[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<string, void, undefined> {
    const before = this.#turns;
    let content = "";
    let hasFailed = false;
    this.#turns = turns;
    try {
      for await (const piece of this.answerTo(turns, signal)) {
        content += piece;
        if (piece !== "") yield piece;
      }
    } catch (error) {
      hasFailed = true;
      throw error;
    } finally {
      const isNothing = hasFailed && content === "" && signal?.aborted !== true;
      this.#turns = isNothing ? before : [...turns, { role: assistantRole, content }];
    }
  }
}
