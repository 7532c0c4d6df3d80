import { SettingsError } from "../core/errors.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { CacheType } from "../nn/key-value-cache.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import type { ChatEncoder } from "../text/encode-chat.ts";
import { Conversation } from "./conversation.ts";
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
export class ChatSession extends Conversation {
  readonly #model: LanguageModel;
  readonly #encoder: ChatEncoder;
  readonly #options: ChatOptions;
  /** Answers given so far, retries included: each draws other numbers. */
  #answers = 0;

  constructor(model: LanguageModel, encoder: ChatEncoder, options: ChatOptions) {
    super(options.system);
    this.#model = model;
    this.#encoder = encoder;
    this.#options = options;
  }

  /** @throws {SettingsError} when the last turn alone leaves no room for an answer. */
  protected override async *answerTo(
    turns: readonly ChatMessage[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<string, void, undefined> {
    const prompt = this.#promptOf(turns);
    const { sampling = {}, maxNewTokens, seed, cacheType } = this.#options;
    const endTokens = this.#encoder.endTokens();
    const options = {
      ...{ sampling, maxNewTokens, endTokens, cacheType, signal },
      ...{ seed: seed + this.#answers++, isAnswer: true },
    };
    for await (const { text } of generateText(this.#model, this.#encoder.tokenizer, [prompt], options)) yield text;
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
