import { requestJson } from "../api.ts";
import type { Turn, WritingSettings } from "./conversation.ts";
import { messagesOf } from "./conversation.ts";

/** How much of a branch a model reads. */
export interface Fit {
  /** Turns at the beginning that are left out, as they do not fit. */
  readonly leftOut: number;
  /** Tokens of what is read. */
  readonly tokens: number;
  /** Tokens that the model reads and writes together; null before it is open. */
  readonly context: number | null;
}

interface Counted {
  readonly count: number;
  readonly max_model_len: number | null;
}

/** Of the context, what is kept for the answer where nobody says how long it may be. */
const answerShare = 0.25;

/**
 * How many of the oldest turns have to be left out so that the rest leaves room for an answer. A server does not do that
 * by itself: what a model did not read would not be seen.
 */
export async function fitOf(
  { model, isChat }: { readonly model: string; readonly isChat: boolean },
  turns: readonly Turn[],
  settings: Pick<WritingSettings, "system" | "maxTokens">,
  signal?: AbortSignal,
): Promise<Fit> {
  const count = async (leftOut: number): Promise<Counted> => {
    const kept = turns.slice(leftOut);
    const text = isChat
      ? { messages: messagesOf(kept, settings.system) }
      : { prompt: kept.map(({ content }) => content).join("") };
    const isNothing = isChat ? (text.messages ?? []).length === 0 : text.prompt === "";
    if (isNothing) return { count: 0, max_model_len: null };
    return requestJson<Counted>("tokenize", { body: { model, ...text }, ...(signal ? { signal } : {}) });
  };
  const whole = await count(0);
  const context = whole.max_model_len;
  if (context === null) return { leftOut: 0, tokens: whole.count, context };
  const room = context - Math.min(settings.maxTokens ?? Math.ceil(context * answerShare), Math.floor(context / 2));
  const starts = startsOf(turns, isChat);
  let [low, high, tokens] = [0, starts.length - 1, whole.count];
  if (tokens <= room || high <= 0) return { leftOut: 0, tokens, context };
  // The first start from which on it fits lies in (low, high]; the last one is taken whether it fits or not.
  tokens = (await count(starts[high] ?? 0)).count;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    const found = (await count(starts[middle] ?? 0)).count;
    if (found > room) low = middle;
    else [high, tokens] = [middle, found];
  }
  return { leftOut: starts[high] ?? 0, tokens, context };
}

/** Turns that a shortened branch may begin with: where a person speaks, the last one at the latest. */
function startsOf(turns: readonly Turn[], isChat: boolean): number[] {
  return turns.flatMap(({ role }, i) => (i === 0 || role === "user" || !isChat ? [i] : []));
}
