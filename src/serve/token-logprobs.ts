import type { ScoredToken } from "../generate/sequence-request.ts";
import type { PlacedToken } from "./answer-writer.ts";
import { lengthOf } from "./answer-writer.ts";
import type { ChatLogprobs, CompletionLogprobs } from "./answers.ts";
import type { TokenTexts } from "./token-texts.ts";

/** What stands for a log-probability of −∞, which JSON cannot say. */
const impossible = -9999;

/**
 * Log-probabilities as completions have them.
 *
 * @param from - Where the answer begins in the text of the choice, in code points.
 */
export function completionLogprobs(
  tokens: readonly PlacedToken[],
  texts: TokenTexts,
  from: number,
): CompletionLogprobs {
  return {
    tokens: tokens.map(({ scored }) => texts.textOf(scored.token)),
    token_logprobs: tokens.map(({ scored }) => finite(scored.logprob)),
    top_logprobs: tokens.map(({ scored }) => alternatives(scored, texts)),
    text_offset: tokens.map(({ offset }) => from + offset),
  };
}

/** Log-probabilities of a prompt that is echoed; nothing precedes its first token. */
export function promptLogprobs(
  ids: Int32Array,
  scored: readonly (ScoredToken | null)[],
  offsets: readonly number[],
  texts: TokenTexts,
): CompletionLogprobs {
  return {
    tokens: Array.from(ids, (id) => texts.textOf(id)),
    token_logprobs: Array.from(ids, (_, i) => finite(scored[i]?.logprob ?? null)),
    top_logprobs: Array.from(ids, (_, i) => {
      const token = scored[i];
      return token ? alternatives(token, texts) : null;
    }),
    text_offset: [...offsets],
  };
}

/** The lists of one part of a text, and then those of the next. */
export function joinLogprobs(a: CompletionLogprobs, b: CompletionLogprobs): CompletionLogprobs {
  return {
    tokens: [...a.tokens, ...b.tokens],
    token_logprobs: [...a.token_logprobs, ...b.token_logprobs],
    top_logprobs: [...a.top_logprobs, ...b.top_logprobs],
    text_offset: [...a.text_offset, ...b.text_offset],
  };
}

/** Log-probabilities as chats have them; the token that ends an answer is no part of it. */
export function chatLogprobs(
  tokens: readonly PlacedToken[],
  alternativesAsked: number,
  texts: TokenTexts,
): ChatLogprobs {
  const entry = (token: number, logprob: number | null) => ({
    token: texts.textOf(token),
    logprob: finite(logprob) ?? impossible,
    bytes: texts.bytesOf(token),
  });
  const shown = tokens.filter(({ isEnd }) => !isEnd);
  const content = shown.map(({ scored: { token, logprob, top } }) => ({
    ...entry(token, logprob),
    top_logprobs: top.slice(0, alternativesAsked).map((other) => entry(other.token, other.logprob)),
  }));
  return { content, refusal: null };
}

/** The likeliest and the chosen one by their texts; of those with the same text the likelier counts. */
function alternatives({ token, logprob, top }: ScoredToken, texts: TokenTexts): Record<string, number> {
  const all = [...top, ...(logprob === null ? [] : [{ token, logprob }])];
  const found = new Map<string, number>();
  for (const other of all) {
    const text = texts.textOf(other.token);
    const value = finite(other.logprob) ?? impossible;
    found.set(text, Math.max(value, found.get(text) ?? Number.NEGATIVE_INFINITY));
  }
  return Object.fromEntries(found);
}

function finite(logprob: number | null): number | null {
  return logprob !== null && Number.isNaN(logprob - logprob) ? impossible : logprob;
}

/** The text that tokens spell, of which the `unseen` first have no part, and where each begins in it, in code points. */
export function offsetsOf(
  ids: Int32Array,
  unseen: number,
  texts: TokenTexts,
): { readonly text: string; readonly offsets: readonly number[] } {
  const decoder = texts.decoder();
  let [text, length] = ["", 0];
  const offsets = Array.from(ids, (id, i) => {
    const offset = length;
    const piece = i < unseen ? "" : decoder.push(id);
    text += piece;
    length += lengthOf(piece);
    return offset;
  });
  return { text: text + decoder.flush(), offsets };
}
