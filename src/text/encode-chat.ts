import { DataError } from "../core/errors.ts";
import type { ChatMessage } from "./chat-message.ts";
import { assistantRole, isLearnt } from "./chat-message.ts";
import type { ChatTemplate, TemplateVariables, TextSpan } from "./chat-template.ts";
import { encodeParts } from "./encode-parts.ts";
import type { FolderIds } from "./folder-ids.ts";
import { noFolderIds } from "./folder-ids.ts";
import { openSeals, sealFor, TokenBreaker, withTexts } from "./sealed-text.ts";
import { begun } from "./text-bounds.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Token ids of a conversation. */
export interface EncodedChat {
  readonly ids: Int32Array;
  /** 1 for each token that the assistant wrote and that is to be learnt, its end mark included; 0 for the others. */
  readonly isAnswer: Uint8Array;
}

/** A conversation as text, and which parts of it the assistant wrote. */
interface Written {
  readonly text: string;
  readonly answers: readonly TextSpan[];
}

/** Turns conversations into token ids, always in the same way: in training, when sampling, and in a chat. */
export class ChatEncoder {
  readonly tokenizer: Tokenizer;
  /** Without one, turns are joined as they are and the end-of-text token follows what the assistant says. */
  readonly template: ChatTemplate | null;
  /** What the model's folder says of tokens beside its tokenizer. */
  readonly folderIds: FolderIds;
  readonly #variables: TemplateVariables;
  /** What a template writes behind each answer, where that is a special token; undefined until asked for. */
  #endMark: number | null | undefined;
  #breaker: TokenBreaker | null = null;

  constructor(tokenizer: Tokenizer, template: ChatTemplate | null, folderIds: FolderIds = noFolderIds) {
    this.tokenizer = tokenizer;
    this.template = template;
    this.folderIds = folderIds;
    const { bos, eos } = tokenizer.roles;
    this.#variables = {
      ...(bos === undefined ? {} : { bos_token: bos }),
      ...(eos === undefined ? {} : { eos_token: eos }),
    };
  }

  /** The token that begins a text, as the tokenizer names it or else the model's folder; or null. */
  get beginOfText(): number | null {
    const { bos } = this.tokenizer.roles;
    return (bos === undefined ? null : this.tokenizer.idOf(bos)) ?? this.folderIds.beginOfText;
  }

  /**
   * A whole conversation. Its ids are those of the whole text, as a part of a text is not read as a text; only where a
   * token would hold the end of a prompt and the beginning of its answer is the text cut, as it is when the answer is
   * generated. An end mark that an answer already has is not written twice.
   *
   * @param variables - What the template may refer to beside the messages, such as `tools`.
   * @throws {DataError} as the template does.
   */
  encode(messages: readonly ChatMessage[], variables: TemplateVariables = {}): EncodedChat {
    return join(learntParts(this.#parts(this.#written(messages, variables)), messages));
  }

  /**
   * The text of a conversation up to where the assistant's next turn begins, as the template writes it.
   *
   * @throws {DataError} as the template does, or when there is none.
   */
  promptText(messages: readonly ChatMessage[], variables: TemplateVariables = {}): string {
    if (!this.template) throw new DataError("chat template: the model has none; turns have no text of their own");
    return this.template.render(messages, { ...this.#variables, ...variables }, true);
  }

  /** A conversation up to where the assistant's next turn begins, as token ids. */
  encodePrompt(messages: readonly ChatMessage[], variables: TemplateVariables = {}): Int32Array {
    return join(this.#parts(this.#writtenPrompt(messages, variables))).ids;
  }

  /**
   * {@link encodePrompt} of what strangers say: where a message or a variable spells a special token, such as the mark that
   * ends a turn, it is read as text. All else has the same ids.
   *
   * @throws {DataError} as the template does.
   */
  encodeForeignPrompt(messages: readonly ChatMessage[], variables: TemplateVariables = {}): Int32Array {
    const seal = sealFor({ messages, variables });
    this.#breaker ??= new TokenBreaker(this.tokenizer.specialTokens.keys());
    const breaker = this.#breaker;
    const sealed = <Value>(value: Value): Value => withTexts(value, (text) => breaker.seal(text, seal));
    const { text, answers } = this.#writtenPrompt(sealed(messages), sealed(variables));
    const opened = openSeals(text, seal);
    const cuts = [...opened.cuts, ...answers.flatMap(({ start, end }) => [opened.place(start), opened.place(end)])];
    const parts = encodeParts(
      this.tokenizer,
      opened.text,
      cuts.sort((a, b) => a - b),
    ).map((ids) => ({ ids, isAnswer: false }));
    const { ids } = join(parts);
    return this.template ? ids : begun(this.tokenizer, ids);
  }

  /**
   * Tokens that end a turn of the assistant: the end of text, the last token of what the template writes for a turn, and
   * those that the model's folder names.
   */
  endTokens(): ReadonlySet<number> {
    const ids = [this.tokenizer.endOfText, this.template && this.#markOfTemplate(), ...this.folderIds.ends];
    return new Set(ids.filter((id) => id !== null));
  }

  #writtenPrompt(messages: readonly ChatMessage[], variables: TemplateVariables): Written {
    if (!this.template) return this.#written(messages, variables);
    const text = this.promptText(this.#unended(messages), variables);
    const answered = messages.some(({ role }) => role === assistantRole);
    return { text, answers: answered ? this.#written(messages, variables).answers : [] };
  }

  #written(messages: readonly ChatMessage[], variables: TemplateVariables): Written {
    const turns = this.#unended(messages);
    return this.template
      ? this.template.renderMarked(turns, { ...this.#variables, ...variables })
      : plainText(turns, this.#endOfText());
  }

  /** What lies between the answers of a text, and the answers. */
  #parts({ text, answers }: Written): Part[] {
    const cuts = answers.flatMap(({ start, end }) => [start, end]);
    const parts = encodeParts(this.tokenizer, text, cuts).map((ids, i) => ({ ids, isAnswer: i % 2 === 1 }));
    // A template writes how a text begins by itself.
    const [first, ...others] = parts;
    return this.template || !first ? parts : [{ ...first, ids: begun(this.tokenizer, first.ids) }, ...others];
  }

  /** The messages without the end marks that are going to be written behind them. */
  #unended(messages: readonly ChatMessage[]): readonly ChatMessage[] {
    const special = [...this.tokenizer.specialTokens.keys(), this.#endOfText()];
    const hasMark = ({ role, content }: ChatMessage): boolean =>
      role === assistantRole && special.some((token) => token !== "" && content.trimEnd().endsWith(token));
    if (!messages.some(hasMark)) return messages;
    const id = this.template ? this.#markOfTemplate() : null;
    const mark = this.template ? id !== null && this.tokenizer.tokenOf(id) : this.#endOfText();
    if (!mark) return messages;
    return messages.map((message) => {
      const content = message.content.trimEnd();
      return message.role === assistantRole && content.endsWith(mark)
        ? { ...message, content: content.slice(0, -mark.length) }
        : message;
    });
  }

  /** The end-of-text token as text; empty where there is none. */
  #endOfText(): string {
    const { endOfText } = this.tokenizer;
    return endOfText === null ? "" : (this.tokenizer.tokenOf(endOfText) ?? "");
  }

  /** The special token that the template writes last for an answer, or null. */
  #markOfTemplate(): number | null {
    if (this.#endMark === undefined) {
      const end = this.#lastOfAnswer();
      const isMark = end !== undefined && [...this.tokenizer.specialTokens.values()].includes(end);
      this.#endMark = isMark ? end : null;
    }
    return this.#endMark;
  }

  /** The last token of an answer, as far as the template writes one for the shortest of conversations. */
  #lastOfAnswer(): number | undefined {
    try {
      const { ids, isAnswer } = this.encode([
        { role: "user", content: "?" },
        { role: assistantRole, content: "!" },
      ]);
      return ids[isAnswer.lastIndexOf(1)];
    } catch (error) {
      if (error instanceof DataError) return undefined;
      throw error;
    }
  }
}

/** Turns one after the other, with `end` behind each of the assistant's. */
function plainText(messages: readonly ChatMessage[], end: string): Written {
  let text = "";
  const answers: TextSpan[] = [];
  for (const { role, content } of messages) {
    const start = text.length;
    text += role === assistantRole ? content + end : content;
    if (role === assistantRole) answers.push({ start, end: text.length });
  }
  return { text, answers };
}

interface Part {
  readonly ids: Int32Array;
  readonly isAnswer: boolean;
}

/** Turns of the assistant that are context only count as what the others say. */
function learntParts(parts: readonly Part[], messages: readonly ChatMessage[]): Part[] {
  const answers = messages.filter(({ role }) => role === assistantRole).values();
  return parts.map((part) => (part.isAnswer ? { ...part, isAnswer: isLearnt(answers.next().value!) } : part));
}

function join(parts: readonly Part[]): EncodedChat {
  const length = parts.reduce((sum, { ids }) => sum + ids.length, 0);
  const [ids, isAnswer] = [new Int32Array(length), new Uint8Array(length)];
  let at = 0;
  for (const part of parts) {
    ids.set(part.ids, at);
    if (part.isAnswer) isAnswer.fill(1, at, at + part.ids.length);
    at += part.ids.length;
  }
  return { ids, isAnswer };
}
