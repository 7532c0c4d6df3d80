import type { ToolCall } from "../generate/tool-calls/tool-call-reader.ts";
import { ToolCallReader } from "../generate/tool-calls/tool-call-reader.ts";
import type { ToolStyle } from "../generate/tool-calls/tool-style.ts";
import type { PlacedToken } from "./answer-writer.ts";
import type { ChatCompletion, ChatCompletionChunk, ChatLogprobs } from "./answers.ts";
import type { TextEvents } from "./text-events.ts";
import { chatLogprobs } from "./token-logprobs.ts";
import type { TokenTexts } from "./token-texts.ts";

type Head = Omit<ChatCompletion, "object" | "choices" | "usage">;
type Delta = ChatCompletionChunk["choices"][number]["delta"];
type FinishReason = ChatCompletion["choices"][number]["finish_reason"];

/** What is asked of answers. */
export interface ChatForm {
  /** How many. */
  readonly n: number;
  /** Alternatives with each log-probability; null for none at all. */
  readonly alternatives: number | null;
  /** How the model calls tools; null where it has none. */
  readonly tools: ToolStyle | null;
}

/** What became certain of one answer. */
interface ChatPiece {
  readonly copy: number;
  readonly content: string;
  readonly calls: readonly ToolCall[];
  readonly tokens: readonly PlacedToken[];
  readonly finish: FinishReason | null;
}

/** Answers in a conversation as OpenAI's interface writes them: piece by piece, or whole ones made of the same pieces. */
export class ChatText {
  readonly #texts: TokenTexts;
  readonly #form: ChatForm;
  readonly #head: Head;

  constructor(texts: TokenTexts, form: ChatForm, head: Head) {
    this.#texts = texts;
    this.#form = form;
    this.#head = head;
  }

  /** Pieces of a stream, in the order in which they come to be. */
  async *chunks(events: TextEvents, hasUsage: boolean): AsyncGenerator<ChatCompletionChunk, void, undefined> {
    const head = { ...this.#head, object: "chat.completion.chunk" as const };
    const usage = hasUsage ? { usage: null } : {};
    const chunk = (
      index: number,
      delta: Delta,
      logprobs: ChatLogprobs | null = null,
      finish: FinishReason | null = null,
    ): ChatCompletionChunk => ({ ...head, choices: [{ index, delta, logprobs, finish_reason: finish }], ...usage });
    for (let copy = 0; copy < this.#form.n; copy++) yield chunk(copy, { role: "assistant", content: "" });
    const counts = new Map<number, number>();
    for await (const { copy, content, calls, tokens, finish } of this.#pieces(events)) {
      const logprobs = this.#logprobs(tokens);
      if (content !== "" || (logprobs !== null && logprobs.content.length > 0))
        yield chunk(copy, { content }, logprobs);
      for (const call of calls) {
        const index = counts.get(copy) ?? 0;
        counts.set(copy, index + 1);
        yield chunk(copy, { tool_calls: [{ index, ...call }] });
      }
      if (finish !== null) yield chunk(copy, {}, null, finish);
    }
    if (hasUsage) yield { ...head, choices: [], usage: events.usage };
  }

  /** The whole answer. */
  async whole(events: TextEvents): Promise<ChatCompletion> {
    const answers = Array.from({ length: this.#form.n }, () => ({
      content: "",
      calls: [] as ToolCall[],
      tokens: [] as PlacedToken[],
      finish: "length" as FinishReason,
    }));
    for await (const { copy, content, calls, tokens, finish } of this.#pieces(events)) {
      const answer = answers[copy];
      if (answer === undefined) continue;
      answer.content += content;
      answer.calls.push(...calls);
      answer.tokens.push(...tokens);
      answer.finish = finish ?? answer.finish;
    }
    const choices = answers.map(({ content, calls, tokens, finish }, index) => ({
      index,
      message: {
        role: "assistant" as const,
        content: content === "" && calls.length > 0 ? null : content,
        refusal: null,
        ...(calls.length > 0 ? { tool_calls: calls } : {}),
      },
      logprobs: this.#logprobs(tokens),
      finish_reason: finish,
    }));
    return { ...this.#head, object: "chat.completion", choices, usage: events.usage };
  }

  /** Texts parted into what is said and what is called. */
  async *#pieces(events: TextEvents): AsyncGenerator<ChatPiece, void, undefined> {
    const { tools } = this.#form;
    const readers = tools && Array.from({ length: this.#form.n }, () => new ToolCallReader(tools));
    const calling = new Set<number>();
    for await (const event of events) {
      if (event.type === "prompt") continue;
      const { copy, piece } = event;
      const { tokens } = piece;
      const reader = readers?.[copy];
      const read = reader?.push(piece.text) ?? { content: piece.text, calls: [] };
      if (read.calls.length > 0) calling.add(copy);
      const rest = piece.finish === null ? "" : (reader?.end().content ?? "");
      const finish = piece.finish === "stop" && calling.has(copy) ? "tool_calls" : piece.finish;
      yield { copy, content: read.content + rest, calls: read.calls, tokens, finish };
    }
  }

  #logprobs(tokens: readonly PlacedToken[]): ChatLogprobs | null {
    const { alternatives } = this.#form;
    return alternatives === null ? null : chatLogprobs(tokens, alternatives, this.#texts);
  }
}
