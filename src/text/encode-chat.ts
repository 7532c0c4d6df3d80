import type { ChatMessage } from "./chat-message.ts";
import { assistantRole, isLearnt } from "./chat-message.ts";
import type { ChatTemplate, RenderedChat, TemplateVariables } from "./chat-template.ts";
import type { SpecialTexts } from "./chat-writer.ts";
import { ChatWriter } from "./chat-writer.ts";
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

/** What strangers say, their texts sealed so that none spells a special token. */
export interface SealedChat {
  readonly messages: readonly ChatMessage[];
  readonly variables: TemplateVariables;
  /** The character that does it; no text had it. */
  readonly seal: string;
}

/** Turns conversations into token ids, always in the same way: in training, when sampling, and in a chat. */
export class ChatEncoder {
  readonly tokenizer: Tokenizer;
  readonly writer: ChatWriter;
  /** What the model's folder says of tokens beside its tokenizer. */
  readonly folderIds: FolderIds;
  #breaker: TokenBreaker | null = null;

  constructor(tokenizer: Tokenizer, template: ChatTemplate | null, folderIds: FolderIds = noFolderIds) {
    this.tokenizer = tokenizer;
    this.folderIds = folderIds;
    this.writer = new ChatWriter(template, specialTexts(tokenizer, folderIds));
  }

  /** Without one, turns are joined as they are and the end-of-text token follows what the assistant says. */
  get template(): ChatTemplate | null {
    return this.writer.template;
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
    return join(learntParts(this.#parts(this.writer.whole(messages, variables)), messages));
  }

  /**
   * The text of a conversation up to where the assistant's next turn begins, as the template writes it.
   *
   * @throws {DataError} as the template does, or when there is none.
   */
  promptText(messages: readonly ChatMessage[], variables: TemplateVariables = {}): string {
    return this.writer.promptText(messages, variables);
  }

  /** A conversation up to where the assistant's next turn begins, as token ids. */
  encodePrompt(messages: readonly ChatMessage[], variables: TemplateVariables = {}): Int32Array {
    return join(this.#parts(this.writer.prompt(messages, variables))).ids;
  }

  /**
   * {@link encodePrompt} of what strangers say: where a message or a variable spells a special token, such as the mark that
   * ends a turn, it is read as text. All else has the same ids.
   *
   * @throws {DataError} as the template does.
   */
  encodeForeignPrompt(messages: readonly ChatMessage[], variables: TemplateVariables = {}): Int32Array {
    const sealed = this.seal(messages, variables);
    return this.encodeSealed(this.writer.prompt(sealed.messages, sealed.variables), sealed.seal);
  }

  /** The first half of {@link encodeForeignPrompt}, for whoever has its text written elsewhere. */
  seal(messages: readonly ChatMessage[], variables: TemplateVariables = {}): SealedChat {
    const seal = sealFor({ messages, variables });
    this.#breaker ??= new TokenBreaker(this.tokenizer.specialTokens.keys());
    const breaker = this.#breaker;
    const sealed = <Value>(value: Value): Value => withTexts(value, (text) => breaker.seal(text, seal));
    return { messages: sealed(messages), variables: sealed(variables), seal };
  }

  /** The second half: the ids of what a {@link ChatWriter} made of sealed messages as a prompt. */
  encodeSealed({ text, answers }: RenderedChat, seal: string): Int32Array {
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
    return this.endTokensWith(this.writer.mark);
  }

  /** {@link endTokens} where the last of what the template writes is known already. */
  endTokensWith(mark: string | null): ReadonlySet<number> {
    const { endOfText, specialTokens } = this.tokenizer;
    const ids = [endOfText, mark === null ? null : (specialTokens.get(mark) ?? null), ...this.folderIds.ends];
    return new Set(ids.filter((id) => id !== null));
  }

  /** What lies between the answers of a text, and the answers. */
  #parts({ text, answers }: RenderedChat): Part[] {
    const cuts = answers.flatMap(({ start, end }) => [start, end]);
    const parts = encodeParts(this.tokenizer, text, cuts).map((ids, i) => ({ ids, isAnswer: i % 2 === 1 }));
    // A template writes how a text begins by itself.
    const [first, ...others] = parts;
    return this.template || !first ? parts : [{ ...first, ids: begun(this.tokenizer, first.ids) }, ...others];
  }
}

function specialTexts(tokenizer: Tokenizer, { ends }: FolderIds): SpecialTexts {
  const { bos, eos } = tokenizer.roles;
  const textOf = (id: number | null): string => (id === null ? "" : (tokenizer.tokenOf(id) ?? ""));
  return {
    variables: { ...(bos === undefined ? {} : { bos_token: bos }), ...(eos === undefined ? {} : { eos_token: eos }) },
    special: [...tokenizer.specialTokens.keys()],
    endOfText: textOf(tokenizer.endOfText),
    ends: [...ends].map(textOf),
  };
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
