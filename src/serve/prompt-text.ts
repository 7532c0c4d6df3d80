import type { ToolStyle } from "../generate/tool-calls/tool-style.ts";
import { toolStyle } from "../generate/tool-calls/tool-style.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import { assistantRole } from "../text/chat-message.ts";
import { ChatTemplate } from "../text/chat-template.ts";
import { continuationDecoder } from "../text/continuation-decoder.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { begun } from "../text/text-bounds.ts";
import type { StreamDecoder, Tokenizer } from "../text/tokenizer.ts";
import { TokenTexts } from "./token-texts.ts";

/** How long a chat template may take for one conversation. */
const templateMs = 1000;

/** A prompt as a model reads it. */
export interface EncodedPrompt {
  readonly ids: Int32Array;
  /** Of the ids, how many the tokenizer put before the text by itself. */
  readonly added: number;
  /** Decodes what follows it. */
  readonly decoder: () => StreamDecoder;
}

/** What the texts of a model are read and written with. */
export class PromptText {
  readonly tokenizer: Tokenizer;
  readonly tokens: TokenTexts;
  /** Tokens that end what it writes. */
  readonly endTokens: readonly number[];
  readonly #encoder: ChatEncoder;

  constructor({ tokenizer, template, folderIds }: ChatEncoder) {
    const timed = template && new ChatTemplate(template.source, "chat template", templateMs);
    this.#encoder = new ChatEncoder(tokenizer, timed, folderIds);
    this.tokenizer = tokenizer;
    this.tokens = new TokenTexts(tokenizer);
    this.endTokens = [...this.#encoder.endTokens()];
  }

  /** The template's own text; null where turns are joined as they are. */
  get template(): string | null {
    return this.#encoder.template?.source ?? null;
  }

  /** A text that is to be gone on with. Special tokens may be spelled in it. */
  completion(prompt: string): EncodedPrompt {
    const own = this.tokenizer.encode(prompt);
    const ids = begun(this.tokenizer, own);
    return { ...this.ofIds(ids), added: ids.length - own.length };
  }

  /** Ids that are to be gone on with. */
  ofIds(prompt: readonly number[] | Int32Array): EncodedPrompt {
    const ids = Int32Array.from(prompt);
    return { ids, added: 0, decoder: () => continuationDecoder(this.tokenizer, ids, { skipSpecialTokens: true }) };
  }

  /**
   * How the model calls tools.
   *
   * @throws {UnsupportedError} when its template does not know them.
   */
  toolStyle(): ToolStyle {
    return toolStyle(this.#encoder);
  }

  /**
   * A conversation up to what the assistant says next, or goes on to say where the last message is its own.
   *
   * @throws {DataError} when the template refuses the conversation, or takes too long.
   */
  chat(messages: readonly ChatMessage[], variables: Readonly<Record<string, unknown>> = {}): EncodedPrompt {
    const last = messages.at(-1);
    if (last?.role !== assistantRole) {
      const ids = this.#encoder.encodeForeignPrompt(messages, variables);
      const skipSpecialTokens = variables.tools === undefined; // calls may have such marks
      return { ids, added: 0, decoder: () => this.tokenizer.streamDecoder({ skipSpecialTokens }) };
    }
    const before = this.#encoder.encodeForeignPrompt(messages.slice(0, -1), variables);
    const begin = this.tokenizer.encode(last.content, { recognizeSpecialTokens: false, continues: true });
    return this.ofIds([...before, ...begin]);
  }

  /**
   * The text of a conversation up to where the assistant's next turn begins.
   *
   * @throws {DataError} when the model has no template, or it refuses the conversation.
   */
  chatText(messages: readonly ChatMessage[], variables: Readonly<Record<string, unknown>> = {}): string {
    const last = messages.at(-1);
    if (last?.role !== assistantRole) return this.#encoder.promptText(messages, variables);
    return this.#encoder.promptText(messages.slice(0, -1), variables) + last.content;
  }
}
