import { RequestError } from "../api.ts";
import { serverEvents } from "../events.ts";
import type { Message, WritingSettings, WrittenToken } from "./conversation.ts";

/** What became known of an answer. */
export interface AnswerPart {
  readonly text: string;
  readonly tokens: readonly WrittenToken[];
  readonly finish: "stop" | "length" | null;
  readonly usage: { readonly prompt: number; readonly written: number } | null;
}

/** What is asked: an answer in a conversation, or a text to go on with. */
export type Asked =
  | { readonly model: string; readonly messages: readonly Message[] }
  | { readonly model: string; readonly prompt: string };

interface ChatToken {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[] | null;
  readonly top_logprobs: readonly { readonly token: string; readonly logprob: number }[];
}

interface CompletionLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly (number | null)[];
  readonly top_logprobs: readonly (Readonly<Record<string, number>> | null)[];
}

interface Chunk {
  readonly error?: { readonly message: string; readonly code: string | null };
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null };
    readonly text?: string;
    readonly logprobs?: ({ readonly content?: readonly ChatToken[] } & Partial<CompletionLogprobs>) | null;
    readonly finish_reason: "stop" | "length" | null;
  }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
}

/** Alternatives that are asked for at each token. */
const alternatives = 8;

/**
 * An answer, part by part, until it ends or `signal` is aborted (which ends it silently).
 *
 * @throws {RequestError} when the server refuses, or fails midway.
 */
export async function* answerParts(
  asked: Asked,
  settings: WritingSettings,
  seed: number,
  signal: AbortSignal,
): AsyncGenerator<AnswerPart> {
  const isChat = "messages" in asked;
  const { hasTokens } = settings;
  const logprobs = isChat ? { logprobs: true, top_logprobs: alternatives } : { logprobs: alternatives };
  const body = {
    ...asked,
    temperature: settings.temperature,
    top_p: settings.topP,
    top_k: settings.topK,
    min_p: settings.minP,
    seed,
    stream: true,
    stream_options: { include_usage: true },
    ...(hasTokens ? logprobs : {}),
    ...(settings.maxTokens === null ? (isChat ? {} : { max_tokens: 128 }) : { max_tokens: settings.maxTokens }),
  };
  const path = isChat ? "v1/chat/completions" : "v1/completions";
  for await (const { data } of serverEvents(path, { body, signal })) {
    if (data === "[DONE]") return;
    yield partOf(JSON.parse(data) as Chunk);
  }
}

function partOf({ error, choices, usage }: Chunk): AnswerPart {
  if (error) throw new RequestError(error.message, 500, error.code);
  const [choice] = choices ?? [];
  return {
    text: choice?.delta?.content ?? choice?.text ?? "",
    tokens: tokensOf(choice?.logprobs ?? null),
    finish: choice?.finish_reason ?? null,
    usage: usage ? { prompt: usage.prompt_tokens, written: usage.completion_tokens } : null,
  };
}

function tokensOf(logprobs: NonNullable<Chunk["choices"]>[number]["logprobs"]): WrittenToken[] {
  if (!logprobs) return [];
  if (logprobs.content) {
    return logprobs.content.map(({ token, logprob, bytes, top_logprobs: top }) => {
      const isPart = token.includes("\ufffd") && bytes !== null;
      return {
        text: token,
        ...(isPart ? { bytes } : {}),
        logprob,
        top: top.map((one) => [one.token, one.logprob] as const),
      };
    });
  }
  return (logprobs.tokens ?? []).map((text, i) => {
    const top = Object.entries(logprobs.top_logprobs?.[i] ?? {}).sort(([, a], [, b]) => b - a);
    return { text, logprob: logprobs.token_logprobs?.[i] ?? 0, top };
  });
}
