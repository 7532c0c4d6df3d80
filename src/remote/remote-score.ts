import { NetworkError } from "../core/errors.ts";
import { scoredWindows } from "../generate/score.ts";
import { orWhereTooLong, promptIds } from "./prompt-ids.ts";
import type { PromptToken } from "./prompt-tokens.ts";
import { codePointCount, promptTokens } from "./prompt-tokens.ts";
import type { RemoteServer, TooLongError } from "./remote-server.ts";
import { addressOf, completions } from "./remote-server.ts";

/** How likely a server's model finds a text. */
export interface RemoteScore {
  /** As the server writes them; one that it puts before a text is among them. */
  readonly tokens: readonly string[];
  /** log p(token | tokens before it), in nats; null for the first, which nothing precedes. */
  readonly logProbs: readonly (number | null)[];
  /** Mean of −log p over all tokens that have one. */
  readonly loss: number;
  /** exp(loss) */
  readonly perplexity: number;
}

/**
 * Log-probability of every token of a text, or of token ids, as a server computes them. What is longer than the model
 * reads is scored in windows that overlap by half, where the server tells its length.
 *
 * @throws {NetworkError} as {@link completions} does, and when the server gives no log-probabilities of its prompt.
 */
export async function remoteScore(server: RemoteServer, prompt: string | readonly number[]): Promise<RemoteScore> {
  const tokens = await orWhereTooLong(
    () => scoredTokens(server, prompt),
    async (refusal) => {
      const { ids, context } = await idsOf(server, prompt, refusal);
      const all: PromptToken[] = [];
      for (const { start, end, known } of scoredWindows(ids.length, context - 2)) {
        const some = await scoredTokens(server, ids.slice(start, end));
        all.push(...some.slice(known === 1 ? 0 : known - start));
      }
      return all;
    },
  );
  const scored = tokens.flatMap(({ value }) => value ?? []);
  const loss = -scored.reduce((sum, value) => sum + value, 0) / scored.length;
  const logProbs = tokens.map(({ value }) => value);
  return { tokens: tokens.map(({ text }) => text), logProbs, loss, perplexity: Math.exp(loss) };
}

async function idsOf(
  server: RemoteServer,
  prompt: string | readonly number[],
  refusal: TooLongError,
): Promise<{ readonly ids: readonly number[]; readonly context: number }> {
  if (typeof prompt === "string") return promptIds(server, prompt, refusal);
  if (refusal.context === null) throw refusal;
  return { ids: prompt, context: refusal.context };
}

/** Tokens of a prompt that the model reads at once. */
async function scoredTokens(server: RemoteServer, prompt: string | readonly number[]): Promise<PromptToken[]> {
  const body = { prompt, max_tokens: 1, temperature: 0, logprobs: 1, echo: true };
  const [choice] = await completions(server, body);
  const isText = typeof prompt === "string";
  const all = choice && promptTokens(choice, isText ? prompt : "");
  const isOfPrompt = (start: number, i: number): boolean =>
    isText ? start < codePointCount(prompt) : i < prompt.length;
  const tokens = all?.filter(({ start }, i) => isOfPrompt(start, i)) ?? [];
  if (tokens.every(({ value }) => value === null) || tokens.some(({ value }, i) => i > 0 && value === null)) {
    throw new NetworkError(
      `${addressOf(server, "completions")}: returns no log-probabilities of the prompt; the server must support echo ` +
        "together with logprobs, and the text must have two tokens",
    );
  }
  return tokens;
}
