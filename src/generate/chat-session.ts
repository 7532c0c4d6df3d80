import { SettingsError } from "../core/errors.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { CacheType } from "../nn/key-value-cache.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import { assistantRole } from "../text/chat-message.ts";
import type { ChatEncoder } from "../text/encode-chat.ts";
import { generateText } from "./generate-text.ts";
import type { SamplingOptions } from "./sampling.ts";

/** How a {@link ChatSession} answers. */
export interface ChatOptions {
  /** What the conversation starts with; none when empty. */
  readonly system: string;
  readonly sampling?: SamplingOptions;
  readonly maxNewTokens: number;
  readonly seed: number;
  /** As in `GenerationOptions`. */
  readonly cacheType?: CacheType | undefined;
}

/** A conversation with a model. Turns that no longer fit the context are left out of what it reads, the oldest first. */
export class ChatSession {
  readonly #model: LanguageModel;
  readonly #encoder: ChatEncoder;
  readonly #options: ChatOptions;
  #turns: ChatMessage[] = [];
  /** Answers given so far, retries included: each draws other numbers. */
  #answers = 0;

  constructor(model: LanguageModel, encoder: ChatEncoder, options: ChatOptions) {
    this.#model = model;
    this.#encoder = encoder;
    this.#options = options;
  }

  /** The whole conversation, turns that the model no longer reads included. */
  get messages(): readonly ChatMessage[] {
    const { system } = this.#options;
    return [...(system === "" ? [] : [{ role: "system", content: system }]), ...this.#turns];
  }

  /**
   * Says something and gives the answer, piece by piece. Leaving the loop early keeps what came so far as the answer.
   *
   * @throws {SettingsError} when the text alone leaves no room for an answer; the conversation is as before.
   */
  async *say(text: string): AsyncGenerator<string, void, undefined> {
    const turns = [...this.#turns, { role: "user", content: text }];
    const prompt = this.#promptOf(turns);
    this.#turns = turns;
    yield* this.#answer(prompt);
  }

  /** Takes the last answer back and gives another. Gives nothing when nothing was said yet. */
  async *retry(): AsyncGenerator<string, void, undefined> {
    if (this.#turns.at(-1)?.role === assistantRole) this.#turns = this.#turns.slice(0, -1);
    if (this.#turns.length > 0) yield* this.#answer(this.#promptOf(this.#turns));
  }

  /** Forgets everything but the system prompt. */
  reset(): void {
    this.#turns = [];
  }

  async *#answer(prompt: Int32Array): AsyncGenerator<string, void, undefined> {
    const { sampling = {}, maxNewTokens, seed, cacheType } = this.#options;
    const endTokens = this.#encoder.endTokens();
    const options = { sampling, maxNewTokens, endTokens, cacheType, seed: seed + this.#answers++, isAnswer: true };
    let content = "";
    try {
      for await (const { text } of generateText(this.#model, this.#encoder.tokenizer, [prompt], options)) {
        content += text;
        if (text !== "") yield text;
      }
    } finally {
      this.#turns = [...this.#turns, { role: assistantRole, content }];
    }
  }

  /** What the model reads: the system prompt and as many whole exchanges, from the newest back, as leave room. */
  #promptOf(turns: readonly ChatMessage[]): Int32Array {
    const { system, maxNewTokens } = this.#options;
    const head = system === "" ? [] : [{ role: "system", content: system }];
    const { context } = this.#model.settings;
    const room = context - Math.min(maxNewTokens, Math.floor(context / 2));
    const starts = [...turns.keys()].filter((i) => turns[i]?.role === "user");
    for (const start of starts) {
      const prompt = this.#encoder.encodePrompt([...head, ...turns.slice(start)]);
      if (prompt.length <= room) return prompt;
    }
    const length = this.#encoder.encodePrompt([...head, ...turns.slice(starts.at(-1) ?? 0)]).length;
    throw new SettingsError(
      `chat: this message has ${length} tokens, there is room for ${room} in the model's context of ${context}; shorten it`,
    );
  }
}
