import type { ChatMessage } from "./chat-message.ts";
import { assistantRole, isLearnt } from "./chat-message.ts";
import type { ChatTemplate, TemplateVariables, TextSpan } from "./chat-template.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Token ids of a conversation. */
export interface EncodedChat {
  readonly ids: Int32Array;
  /** 1 for each token that the assistant wrote and that is to be learnt, its end mark included; 0 for the others. */
  readonly isAnswer: Uint8Array;
}

/** Turns conversations into token ids, always in the same way: in training, when sampling, and in a chat. */
export class ChatEncoder {
  readonly tokenizer: Tokenizer;
  /** Without one, turns are joined as they are and the end-of-text token follows what the assistant says. */
  readonly template: ChatTemplate | null;
  readonly #variables: TemplateVariables;

  constructor(tokenizer: Tokenizer, template: ChatTemplate | null) {
    this.tokenizer = tokenizer;
    this.template = template;
    const { bos, eos } = tokenizer.roles;
    this.#variables = {
      ...(bos === undefined ? {} : { bos_token: bos }),
      ...(eos === undefined ? {} : { eos_token: eos }),
    };
  }

  /**
   * A whole conversation. Text is cut where the assistant's turns begin and end before it is encoded, because so it is
   * cut when the assistant's part is generated.
   *
   * @param variables - What the template may refer to beside the messages, such as `tools`.
   * @throws {DataError} as the template does.
   */
  encode(messages: readonly ChatMessage[], variables: TemplateVariables = {}): EncodedChat {
    if (!this.template) return join(learntParts(this.#plainParts(messages), messages));
    const { text, answers } = this.template.renderMarked(messages, { ...this.#variables, ...variables });
    return join(learntParts(this.#encodeSpans(text, answers), messages));
  }

  /** A conversation up to where the assistant's next turn begins. */
  encodePrompt(messages: readonly ChatMessage[], variables: TemplateVariables = {}): Int32Array {
    if (!this.template) return join(this.#plainParts(messages)).ids;
    const answered = messages.some(({ role }) => role === assistantRole);
    const all = { ...this.#variables, ...variables };
    const text = this.template.render(messages, all, true);
    if (!answered) return this.tokenizer.encode(text);
    const { answers } = this.template.renderMarked(messages, all);
    return join(this.#encodeSpans(text, answers)).ids;
  }

  /** Tokens that end a turn of the assistant: the last token of what the template writes for one, and the end of text. */
  endTokens(): ReadonlySet<number> {
    const { endOfText } = this.tokenizer;
    const last =
      this.template &&
      this.encode([
        { role: "user", content: "?" },
        { role: assistantRole, content: "!" },
      ]);
    const end = last ? last.ids[last.isAnswer.lastIndexOf(1)] : undefined;
    const isMark = end !== undefined && [...this.tokenizer.specialTokens.values()].includes(end);
    return new Set([...(endOfText === null ? [] : [endOfText]), ...(isMark ? [end] : [])]);
  }

  #encodeSpans(text: string, answers: readonly TextSpan[]): Part[] {
    let done = 0;
    const parts: Part[] = [];
    for (const { start, end } of answers) {
      parts.push({ ids: this.tokenizer.encode(text.slice(done, start)), isAnswer: false });
      parts.push({ ids: this.tokenizer.encode(text.slice(start, end)), isAnswer: true });
      done = end;
    }
    return [...parts, { ids: this.tokenizer.encode(text.slice(done)), isAnswer: false }];
  }

  #plainParts(messages: readonly ChatMessage[]): Part[] {
    const { endOfText } = this.tokenizer;
    return messages.map(({ role, content }) => {
      const isAnswer = role === assistantRole;
      const ids = this.tokenizer.encode(content);
      return { isAnswer, ids: isAnswer && endOfText !== null ? Int32Array.of(...ids, endOfText) : ids };
    });
  }
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
