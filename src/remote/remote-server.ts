import { z } from "zod";
import { NetworkError } from "../core/errors.ts";
import type { PostAnswer, PostLimits, PostRequest } from "./http-post.ts";
import { postForPieces, postJson } from "./http-post.ts";
import { serverEvents } from "./server-events.ts";

/** A model behind an OpenAI-compatible server, and how to reach it. */
export interface RemoteServer {
  /** Up to and without `/completions`: `http://127.0.0.1:8000/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  readonly apiKey: string | null;
  /** Requests at a time, at most; 4 unless given. */
  readonly concurrency?: number;
  /** For one answer, or one piece of it; two minutes unless given. */
  readonly timeoutMs?: number;
  /** Further attempts when the server is busy or fails; 3 unless given. */
  readonly retries?: number;
  /** Before the first of them; half a second unless given. */
  readonly retryDelayMs?: number;
  /** Size of one answer, at most; 64 MB unless given. */
  readonly answerBytes?: number;
  /** Ends what is asked, with its reason as the error. */
  readonly signal?: AbortSignal | undefined;
}

const Completion = z.object({
  choices: z
    .array(
      z.object({
        index: z.number().optional(),
        text: z.string(),
        logprobs: z
          .object({
            tokens: z.array(z.string()).nullish(),
            text_offset: z.array(z.number()),
            token_logprobs: z.array(z.number().nullable()),
            top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullish(),
          })
          .nullish(),
      }),
    )
    .min(1),
});

/** One answer of `/completions`. */
export type CompletionChoice = z.output<typeof Completion>["choices"][number];

const ChatAnswer = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string().nullish() }) })).min(1),
});

const ChatEvent = z.object({
  choices: z.array(
    z.object({ delta: z.object({ content: z.string().nullish() }).nullish(), finish_reason: z.string().nullish() }),
  ),
});

/** A server's refusal of a prompt that is longer than its model reads. */
export class TooLongError extends NetworkError {
  /** What the model reads, with what it writes, in tokens; null where the server does not say. */
  readonly context: number | null;

  constructor(message: string, context: number | null) {
    super(message);
    this.context = context;
  }
}

/** Where a server answers: `completions`, `chat/completions`. */
export function addressOf({ baseUrl }: RemoteServer, route: string): string {
  return `${baseUrl.replace(/\/+$/, "")}/${route}`;
}

/**
 * Answers of `/completions`, in the order of the prompts.
 *
 * @throws {TooLongError} when the server says that a prompt is longer than its model reads.
 * @throws {NetworkError} naming the address, when the server is not reached, refuses, or answers something else.
 * @throws {unknown} the reason of the server's `signal` when that is aborted.
 */
export async function completions(server: RemoteServer, body: object): Promise<CompletionChoice[]> {
  const request = requestTo(server, "completions", body);
  const answer = await postJson(request, limitsOf(server));
  const parsed = Completion.safeParse(parseJson(successful(request.url, answer)));
  if (!parsed.success) throw otherAnswer(request.url, answer.text, "no completion");
  return parsed.data.choices.toSorted((a, b) => (a.index ?? 0) - (b.index ?? 0));
}

/**
 * What a model answers to a conversation, piece by piece as the server sends it.
 *
 * @param body - All but the model: `messages`, `max_tokens` and so on.
 * @throws {NetworkError} as {@link completions} does, also when the answer breaks off before its end.
 * @throws {unknown} the reason of the server's `signal` when that is aborted.
 */
export async function* chatPieces(server: RemoteServer, body: object): AsyncGenerator<string, void, undefined> {
  const request = requestTo(server, "chat/completions", { ...body, stream: true });
  const answer = await postForPieces(request, limitsOf(server));
  if (!("pieces" in answer)) {
    successful(request.url, answer);
    return;
  }
  if (!answer.contentType.includes("event-stream")) {
    yield* wholeAnswer(request.url, answer.pieces);
    return;
  }
  let isOver = false;
  for await (const data of serverEvents(answer.pieces, request.url)) {
    const { text, isLast } = data === "[DONE]" ? { text: "", isLast: true } : pieceOf(request.url, data);
    if (text !== "") yield text;
    isOver ||= isLast;
    if (data === "[DONE]") break;
  }
  if (!isOver) throw new NetworkError(`${request.url}: its answer broke off before its end; look at the server's log`);
}

function pieceOf(url: string, data: string): { text: string; isLast: boolean } {
  const value = parseJson(data);
  const parsed = ChatEvent.safeParse(value);
  if (!parsed.success) throw otherAnswer(url, data, "no piece of a chat");
  const [choice] = parsed.data.choices;
  return { text: choice?.delta?.content ?? "", isLast: typeof choice?.finish_reason === "string" };
}

/** Of a server that does not stream. */
async function* wholeAnswer(url: string, pieces: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let text = "";
  for await (const piece of pieces) text += piece;
  const parsed = ChatAnswer.safeParse(parseJson(text));
  if (!parsed.success) throw otherAnswer(url, text, "no answer of a chat");
  yield parsed.data.choices[0]?.message.content ?? "";
}

/** A request to one of a server's routes, with its key and its model's name. */
export function requestTo(server: RemoteServer, route: string, body: object): PostRequest {
  const headers: Record<string, string> = server.apiKey ? { authorization: `Bearer ${server.apiKey}` } : {};
  return { url: addressOf(server, route), headers, body: { model: server.model, ...body } };
}

/** What a server gives, or the usual limits. */
export function limitsOf(server: RemoteServer): PostLimits {
  const { timeoutMs = 120_000, retries = 3, retryDelayMs = 500, answerBytes = 64 * 2 ** 20, signal } = server;
  return { timeoutMs, retries, retryDelayMs, bytes: answerBytes, signal };
}

/** The text of an answer that is a success. */
function successful(url: string, { status, text, attempts }: PostAnswer): string {
  if (status >= 200 && status <= 299) return text;
  const often = attempts > 1 ? `, asked ${attempts} times` : "";
  const message = `${url}: answers ${status}${often}: ${oneLine(text, 300)}; ${adviceOn(status)}`;
  if (status === 400 && saysTooLong.test(text)) throw new TooLongError(message, contextIn(text));
  throw new NetworkError(message);
}

/** How servers say that a prompt is too long: OpenAI's code and vLLM's sentence, llama.cpp's type. */
const saysTooLong = /context_length_exceeded|maximum context length|exceed_context_size/;

/** The context that a refusal names: as a number of its own, or in vLLM's sentence. */
function contextIn(text: string): number | null {
  const found = /"n_ctx":\s*(\d+)|maximum context length is (\d+)/.exec(text);
  return found ? Number(found[1] ?? found[2]) : null;
}

function otherAnswer(url: string, text: string, what: string): NetworkError {
  return new NetworkError(`${url}: its answer is ${what}: ${oneLine(text, 120)}; is it an OpenAI-compatible server?`);
}

function oneLine(text: string, most: number): string {
  return text.slice(0, most).replaceAll(/\s+/g, " ");
}

function adviceOn(status: number): string {
  if (status === 401 || status === 403) return "check the key";
  if (status === 404) return "check the model's name and the address";
  if (status === 400)
    return "it says why; likely a prompt is longer than the model reads, or it lacks echo with logprobs";
  if (status === 429) return "the server wants fewer requests; lower --concurrency, or wait";
  return status >= 500 ? "the server failed; look at its log, or try again" : "check address, model and key";
}

/** A value of JSON; null where the text is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
