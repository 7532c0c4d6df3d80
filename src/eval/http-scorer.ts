import { NetworkError } from "../core/errors.ts";
import { mapConcurrently } from "../remote/map-concurrently.ts";
import type { PromptToken } from "../remote/prompt-tokens.ts";
import { codePointCount, promptTokens } from "../remote/prompt-tokens.ts";
import type { CompletionChoice, RemoteServer } from "../remote/remote-server.ts";
import { addressOf, completions } from "../remote/remote-server.ts";
import type { ContinuationRequest, Likelihood, LikelihoodRequest, Report, Scorer } from "./scorer.ts";

/** How to reach a server, and what its choices follow from. */
export interface HttpScorerOptions extends RemoteServer {
  readonly seed: number;
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
      const start = codePointCount(context.trimEnd());
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
      const tokens = promptTokens(choices[i] as CompletionChoice, text);
      if (!tokens) throw this.#refusal("no log-probabilities of the prompt");
      const { isComplete, isStartUnscored, ...likelihood } = likelihoodOf(tokens, start, codePointCount(text));
      if (!isComplete) throw this.#refusal("no log-probabilities of some of the prompt's tokens");
      if (isStartUnscored) this.unscoredStarts += 1;
      return likelihood;
    });
  }

  #refusal(what: string): NetworkError {
    return new NetworkError(
      `${addressOf(this.#options, "completions")}: returns ${what}; the server must support echo together with logprobs`,
    );
  }

  #complete(body: object): Promise<CompletionChoice[]> {
    return completions(this.#options, { seed: this.#options.seed, ...body });
  }
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
