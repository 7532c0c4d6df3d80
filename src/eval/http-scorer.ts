import { z } from "zod";
import { UnsupportedError } from "../core/errors.ts";
import { mapConcurrently, postJson } from "./http-post.ts";
import type { ContinuationRequest, Likelihood, LikelihoodRequest, Report, Scorer } from "./scorer.ts";

/** What a server's answer must hold for a text to be scored. */
const Completion = z.object({
  choices: z
    .array(
      z.object({
        index: z.number().optional(),
        text: z.string(),
        logprobs: z
          .object({
            text_offset: z.array(z.number()),
            token_logprobs: z.array(z.number().nullable()),
            top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullish(),
          })
          .nullish(),
      }),
    )
    .min(1),
});
type Choice = z.output<typeof Completion>["choices"][number];

/** How to reach a server. */
export interface HttpScorerOptions {
  /** Up to and without `/completions`: `http://127.0.0.1:8000/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  readonly apiKey: string | null;
  readonly seed: number;
  /** Requests at a time, at most; 4 unless given. */
  readonly concurrency?: number;
  /** For one answer; two minutes unless given. */
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

/**
 * Asks any server with OpenAI's completions interface that returns the log-probabilities of the prompt (`echo` with
 * `logprobs`). The server's own tokens decide; one that lies across the end of the context counts as continuation, and
 * so do spaces at its end, as tokens begin with theirs.
 */
export class HttpScorer implements Scorer {
  readonly name: string;
  readonly maxLength = null;
  readonly parameterCount = null;
  readonly cutRequests = 0;
  unscoredStarts = 0;
  readonly #options: HttpScorerOptions;

  constructor(options: HttpScorerOptions) {
    this.name = options.model;
    this.#options = options;
  }

  likelihoods(requests: readonly LikelihoodRequest[], report: Report): Promise<Likelihood[][]> {
    return this.#each(requests, report, ({ context, continuations }) => {
      const start = lengthOf(context.trimEnd());
      return this.#score(continuations.map((continuation) => ({ text: context + continuation, start })));
    });
  }

  textLikelihoods(texts: readonly string[], report: Report): Promise<number[]> {
    return this.#each(texts, report, async (text) => {
      const [score] = await this.#score([{ text, start: 0 }]);
      return score?.logProb ?? Number.NaN;
    });
  }

  continuations(requests: readonly ContinuationRequest[], report: Report): Promise<string[]> {
    return this.#each(requests, report, async ({ context, until, maxNewTokens, sampling }, index) => {
      const { temperature, topP } = sampling;
      const [choice] = await this.#complete({
        ...{ prompt: context, max_tokens: maxNewTokens, temperature, top_p: topP, seed: this.#options.seed + index },
        ...(until.length > 0 ? { stop: until.slice(0, 4) } : {}),
      });
      const text = choice?.text ?? "";
      const ends = until.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
      return ends.length > 0 ? text.slice(0, Math.min(...ends)) : text;
    });
  }

  /** Answers in the order of the requests, a few of which are on their way at a time. */
  #each<Item, Result>(
    items: readonly Item[],
    report: Report,
    ask: (item: Item, index: number) => Promise<Result>,
  ): Promise<Result[]> {
    let done = 0;
    return mapConcurrently(items, this.#options.concurrency ?? 4, async (item, index) => {
      const answer = await ask(item, index);
      done += 1;
      report(done);
      return answer;
    });
  }

  /** Likelihoods of the texts, each from its `start` on, in code points. */
  async #score(asked: readonly { readonly text: string; readonly start: number }[]): Promise<Likelihood[]> {
    const prompt = asked.map(({ text }) => text);
    const choices = await this.#complete({ prompt, max_tokens: 1, temperature: 0, logprobs: 1, echo: true });
    if (choices.length !== asked.length) {
      throw this.#refusal(`${choices.length} answers to ${asked.length} prompts at a time`);
    }
    return asked.map(({ text, start }, i) => {
      const tokens = promptTokens(choices[i] as Choice, text);
      if (!tokens) throw this.#refusal("no log-probabilities of the prompt");
      const { isComplete, isStartUnscored, ...likelihood } = likelihoodOf(tokens, start, lengthOf(text));
      if (!isComplete) throw this.#refusal("no log-probabilities of some of the prompt's tokens");
      if (isStartUnscored) this.unscoredStarts += 1;
      return likelihood;
    });
  }

  #refusal(what: string): UnsupportedError {
    return new UnsupportedError(`${this.#url}: returns ${what}; the server must support echo together with logprobs`);
  }

  get #url(): string {
    return `${this.#options.baseUrl.replace(/\/$/, "")}/completions`;
  }

  async #complete(body: object): Promise<Choice[]> {
    const { model, apiKey, seed, signal } = this.#options;
    const url = this.#url;
    const headers: Record<string, string> = apiKey ? { authorization: `Bearer ${apiKey}` } : {};
    const { timeoutMs = 120_000, retries = 3, retryDelayMs = 500, answerBytes = 64 * 2 ** 20 } = this.#options;
    const limits = { timeoutMs, retries, retryDelayMs, bytes: answerBytes, signal };
    const { status, text, attempts } = await postJson(url, headers, { model, seed, ...body }, limits);
    if (status < 200 || status > 299) {
      const often = attempts > 1 ? `, asked ${attempts} times` : "";
      throw new UnsupportedError(`${url}: answers ${status}${often}: ${text.slice(0, 300)}; ${adviceOn(status)}`);
    }
    const parsed = Completion.safeParse(parseJson(text));
    if (!parsed.success) {
      throw new UnsupportedError(
        `${url}: its answer is no completion: ${text.slice(0, 120)}; is it an OpenAI-compatible server?`,
      );
    }
    return parsed.data.choices.toSorted((a, b) => (a.index ?? 0) - (b.index ?? 0));
  }
}

function adviceOn(status: number): string {
  if (status === 401 || status === 403) return "check the key";
  if (status === 404) return "check the model's name and the address";
  if (status === 400)
    return "it says why; likely a prompt is longer than the model reads, or it lacks echo with logprobs";
  if (status === 429) return "the server wants fewer requests; lower --concurrency, or wait";
  return status >= 500 ? "the server failed; look at its log, or try again" : "check address, model and key";
}

/** A token that the server read, with its place in the prompt, in code points. */
interface PromptToken {
  readonly start: number;
  readonly end: number;
  readonly value: number | null;
  /** Whether none is likelier. */
  readonly isBest: boolean;
}

/** The tokens of an answer; null where it is only what the server generated, or without any log-probability. */
function promptTokens({ text, logprobs }: Choice, prompt: string): PromptToken[] | null {
  const { text_offset: offsets = [], token_logprobs: values = [], top_logprobs: top } = logprobs ?? {};
  if (values.every((value) => value === null)) return null;
  if (offsets.length === 1 && !text.startsWith(prompt)) return null;
  // Offsets that go on by the first token's length behind the prompt's end count one that is set before the text.
  const [second = 0, last = 0] = [offsets[1], offsets.at(-1)];
  const before = values[0] === null && second > 0 && last - lengthOf(prompt) === second ? second : 0;
  return offsets.map((offset, i) => {
    const value = values[i] ?? null;
    const isBest = value !== null && value >= Math.max(...Object.values(top?.[i] ?? {}));
    return { start: offset - before, end: (offsets[i + 1] ?? Number.POSITIVE_INFINITY) - before, value, isBest };
  });
}

/**
 * Sum over the tokens that begin before `end` and end behind `start`. Only the first token of a text may have no value:
 * one that stands before the text, or one of the text itself where nothing does.
 */
function likelihoodOf(
  tokens: readonly PromptToken[],
  start: number,
  end: number,
): Likelihood & { isComplete: boolean; isStartUnscored: boolean } {
  // A token without a length is part of the character that follows.
  const isAsked = (token: PromptToken): boolean => token.start < end && (token.end > start || token.start >= start);
  const [first] = tokens;
  const isStartUnscored = first !== undefined && first.value === null && first.end > first.start && isAsked(first);
  const asked = tokens.filter((token, i) => isAsked(token) && !(i === 0 && token.value === null));
  const from = (isStartUnscored ? first : asked[0])?.start ?? Number.POSITIVE_INFINITY;
  return {
    logProb: asked.reduce((sum, { value }) => sum + (value ?? 0), 0),
    isGreedy: asked.every(({ isBest }) => isBest),
    isComplete: (start === end || from <= start) && asked.every(({ value }) => value !== null),
    isStartUnscored,
  };
}

/** Offsets of OpenAI-compatible servers count code points, of which some are two units of a string here. */
function lengthOf(text: string): number {
  return [...text].length;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
