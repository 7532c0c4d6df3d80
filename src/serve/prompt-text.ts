import { DataError, UnsupportedError } from "../core/errors.ts";
import type { ToolStyle } from "../generate/tool-calls/tool-style.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import { assistantRole } from "../text/chat-message.ts";
import type { TemplateVariables } from "../text/chat-template.ts";
import { continuationDecoder } from "../text/continuation-decoder.ts";
import type { ChatEncoder } from "../text/encode-chat.ts";
import { begun } from "../text/text-bounds.ts";
import type { StreamDecoder, Tokenizer } from "../text/tokenizer.ts";
import type { TemplateMarks } from "./template-messages.ts";
import { TemplateThread } from "./template-thread.ts";
import { TokenTexts } from "./token-texts.ts";

/** A prompt as a model reads it. */
export interface EncodedPrompt {
  readonly ids: Int32Array;
  /** Of the ids, how many the tokenizer put before the text by itself. */
  readonly added: number;
  /** Decodes what follows it. */
  readonly decoder: () => StreamDecoder;
}

/** A conversation and an answer to it. */
export interface AnsweredPrompt {
  readonly ids: Int32Array;
  /** Where the answer begins. */
  readonly start: number;
}

/**
 * What the texts of a model are read and written with. Its chat template runs in a {@link TemplateThread}; all else is done
 * here.
 */
export class PromptText {
  readonly tokenizer: Tokenizer;
  readonly tokens: TokenTexts;
  /** Tokens that end what it writes. */
  readonly endTokens: readonly number[];
  readonly #encoder: ChatEncoder;
  readonly #thread: TemplateThread | null;
  readonly #marks: TemplateMarks;

  private constructor(encoder: ChatEncoder, thread: TemplateThread | null, marks: TemplateMarks) {
    this.#encoder = encoder;
    this.#thread = thread;
    this.#marks = marks;
    this.tokenizer = encoder.tokenizer;
    this.tokens = new TokenTexts(encoder.tokenizer);
    this.endTokens = [...encoder.endTokensWith(marks.mark)];
  }

  /** Of a model whose template may do what it likes: one that fails at once shows nothing of the model. */
  static async of(encoder: ChatEncoder): Promise<PromptText> {
    const { template, texts } = encoder.writer;
    if (!template) return new PromptText(encoder, null, unmarked("the model has no chat template"));
    const thread = new TemplateThread({ source: template.source, texts });
    try {
      const marks = await thread.ask({ kind: "marks", messages: [], variables: {} });
      return new PromptText(encoder, thread, marks);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      return new PromptText(encoder, thread, unmarked(error.message));
    }
  }

  /** Ends its thread, once nobody waits for that any more. */
  close(): void {
    this.#thread?.close();
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
    const { tools, refusal } = this.#marks;
    if (tools) return tools;
    throw new UnsupportedError(refusal ?? "");
  }

  /**
   * A conversation up to what the assistant says next, or goes on to say where the last message is its own.
   *
   * @throws {DataError} when the template refuses the conversation, or takes too long.
   */
  async chat(messages: readonly ChatMessage[], variables: TemplateVariables = {}): Promise<EncodedPrompt> {
    const last = messages.at(-1);
    if (last?.role !== assistantRole) {
      const ids = await this.#foreign(messages, variables);
      const skipSpecialTokens = variables.tools === undefined; // calls may have such marks
      return { ids, added: 0, decoder: () => this.tokenizer.streamDecoder({ skipSpecialTokens }) };
    }
    const before = await this.#foreign(messages.slice(0, -1), variables);
    const begin = this.tokenizer.encode(last.content, { recognizeSpecialTokens: false, continues: true });
    return this.ofIds([...before, ...begin]);
  }

  /**
   * A conversation with each of the answers that the assistant may give, the mark that ends it included: what a reward model
   * reads. The conversation is written once.
   *
   * @throws {DataError} as {@link chat}.
   */
  async answered(messages: readonly ChatMessage[], answers: readonly string[]): Promise<AnsweredPrompt[]> {
    const { ids: before } = await this.chat(messages);
    const { mark } = this.#marks;
    const ofTemplate = mark === null ? null : this.tokenizer.idOf(mark);
    const end = this.#thread ? ofTemplate : this.tokenizer.endOfText;
    return answers.map((answer) => {
      const own = this.tokenizer.encode(answer, { recognizeSpecialTokens: false, continues: true });
      return { ids: Int32Array.from([...before, ...own, ...(end === null ? [] : [end])]), start: before.length };
    });
  }

  /**
   * The text of a conversation up to where the assistant's next turn begins.
   *
   * @throws {DataError} when the model has no template, or it refuses the conversation.
   */
  async chatText(messages: readonly ChatMessage[], variables: TemplateVariables = {}): Promise<string> {
    const last = messages.at(-1);
    if (last?.role !== assistantRole) return this.#text(messages, variables);
    return (await this.#text(messages.slice(0, -1), variables)) + last.content;
  }

  async #foreign(messages: readonly ChatMessage[], variables: TemplateVariables): Promise<Int32Array> {
    if (!this.#thread) return this.#encoder.encodeForeignPrompt(messages, variables);
    const { seal, ...sealed } = this.#encoder.seal(messages, variables);
    return this.#encoder.encodeSealed(await this.#thread.ask({ kind: "prompt", ...sealed }), seal);
  }

  async #text(messages: readonly ChatMessage[], variables: TemplateVariables): Promise<string> {
    if (!this.#thread) return this.#encoder.promptText(messages, variables);
    return this.#thread.ask({ kind: "text", messages, variables });
  }
}

function unmarked(why: string): TemplateMarks {
  return { mark: null, tools: null, refusal: `tools: ${why}; leave tools out` };
}
