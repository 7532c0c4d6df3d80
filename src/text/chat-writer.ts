import { DataError } from "../core/errors.ts";
import type { ChatMessage } from "./chat-message.ts";
import { assistantRole } from "./chat-message.ts";
import type { ChatTemplate, RenderedChat, TemplateVariables, TextSpan } from "./chat-template.ts";

/** Special tokens as texts, all that is needed of a tokenizer for writing: a plain record, as another thread can be given. */
export interface SpecialTexts {
  /** What templates call `bos_token` and `eos_token`. */
  readonly variables: TemplateVariables;
  readonly special: readonly string[];
  /** The end-of-text token; empty where there is none. */
  readonly endOfText: string;
  /** Other tokens that end a turn, by what the model's folder says. */
  readonly ends: readonly string[];
}

/** Writes conversations as text, always in the same way. */
export class ChatWriter {
  /** Without one, turns are joined as they are and the end-of-text token follows what the assistant says. */
  readonly template: ChatTemplate | null;
  readonly texts: SpecialTexts;
  /** See {@link mark}; undefined until asked for. */
  #mark: string | null | undefined;

  constructor(template: ChatTemplate | null, texts: SpecialTexts) {
    this.template = template;
    this.texts = texts;
  }

  /**
   * A whole conversation, and which parts of it the assistant wrote. An end mark that an answer already has is not written
   * twice.
   *
   * @param variables - What the template may refer to beside the messages, such as `tools`.
   * @throws {DataError} as the template does.
   */
  whole(messages: readonly ChatMessage[], variables: TemplateVariables = {}): RenderedChat {
    const turns = this.#unended(messages);
    return this.template
      ? this.template.renderMarked(turns, { ...this.texts.variables, ...variables })
      : plainText(turns, this.texts.endOfText);
  }

  /**
   * {@link whole}, up to where the assistant's next turn begins.
   *
   * @throws {DataError} as the template does.
   */
  prompt(messages: readonly ChatMessage[], variables: TemplateVariables = {}): RenderedChat {
    if (!this.template) return this.whole(messages, variables);
    const text = this.promptText(this.#unended(messages), variables);
    const answered = messages.some(({ role }) => role === assistantRole);
    return { text, answers: answered ? this.whole(messages, variables).answers : [] };
  }

  /**
   * The text of a conversation up to where the assistant's next turn begins, as the template writes it.
   *
   * @throws {DataError} as the template does, or when there is none.
   */
  promptText(messages: readonly ChatMessage[], variables: TemplateVariables = {}): string {
    if (!this.template) throw new DataError("chat template: the model has none; turns have no text of their own");
    return this.template.render(messages, { ...this.texts.variables, ...variables }, true);
  }

  /** The special token that the template writes last for an answer; null where it writes none, or there is no template. */
  get mark(): string | null {
    if (this.#mark === undefined) this.#mark = this.#markOfTemplate();
    return this.#mark;
  }

  /** Texts of the tokens that end a turn of the assistant. */
  get ends(): readonly string[] {
    const { endOfText, ends } = this.texts;
    return [endOfText, this.mark ?? "", ...ends].filter((text) => text !== "");
  }

  /** The messages without the end marks that are going to be written behind them. */
  #unended(messages: readonly ChatMessage[]): readonly ChatMessage[] {
    const { special, endOfText } = this.texts;
    const hasMark = ({ role, content }: ChatMessage): boolean =>
      role === assistantRole && endingOf(content, [...special, endOfText]) !== null;
    if (!messages.some(hasMark)) return messages;
    const mark = this.template ? this.mark : endOfText;
    if (!mark) return messages;
    return messages.map((message) => {
      const content = message.content.trimEnd();
      return message.role === assistantRole && content.endsWith(mark)
        ? { ...message, content: content.slice(0, -mark.length) }
        : message;
    });
  }

  /** As far as the template writes one for the shortest of conversations. */
  #markOfTemplate(): string | null {
    if (!this.template) return null;
    const shortest = [
      { role: "user", content: "?" },
      { role: assistantRole, content: "!" },
    ];
    try {
      const { text, answers } = this.template.renderMarked(shortest, this.texts.variables);
      const { start, end } = answers.at(-1) ?? { start: 0, end: 0 };
      return endingOf(text.slice(start, end), this.texts.special);
    } catch (error) {
      if (error instanceof DataError) return null;
      throw error;
    }
  }
}

/** The longest of some texts that a text ends with, but for space behind it. */
function endingOf(text: string, endings: readonly string[]): string | null {
  const trimmed = text.trimEnd();
  const found = endings.filter((ending) => ending !== "" && trimmed.endsWith(ending));
  return found.reduce<string | null>((longest, one) => (one.length > (longest?.length ?? 0) ? one : longest), null);
}

/** Turns one after the other, with `end` behind each of the assistant's. */
function plainText(messages: readonly ChatMessage[], end: string): RenderedChat {
  let text = "";
  const answers: TextSpan[] = [];
  for (const { role, content } of messages) {
    const start = text.length;
    text += role === assistantRole ? content + end : content;
    if (role === assistantRole) answers.push({ start, end: text.length });
  }
  return { text, answers };
}
