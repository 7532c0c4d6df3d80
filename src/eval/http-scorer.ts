import { NetworkError } from "../core/errors.ts";
import { mapConcurrently } from "../remote/map-concurrently.ts";
import type { PromptIds } from "../remote/prompt-ids.ts";
import { orWhereTooLong, promptIds } from "../remote/prompt-ids.ts";
import type { PromptToken } from "../remote/prompt-tokens.ts";
import { codePointCount, promptTokens } from "../remote/prompt-tokens.ts";
import type { CompletionChoice, RemoteServer, TooLongError } from "../remote/remote-server.ts";
import { addressOf, completions } from "../remote/remote-server.ts";
import { answerTooLong, rollingWindows } from "./model-scorer.ts";
import type { ContinuationRequest, Likelihood, LikelihoodRequest, Report, Scorer } from "./scorer.ts";

/** How to reach a server, and what its choices follow from. */
export interface HttpScorerOptions extends RemoteServer {
  readonly seed: number;
}

/** A text, of which the likelihood from a place on is asked, in code points. */
interface AskedText {
  readonly text: string;
  readonly start: number;
}

/** What makes a server score its prompt: not all of them take an answer of no tokens. */
const scoring = { max_tokens: 1, temperature: 0, logprobs: 1, echo: true };

const noneOfPrompt = "no log-probabilities of the prompt";
const someMissing = "no log-probabilities of some of the prompt's tokens";

/**
 * Asks any server with OpenAI's completions interface that returns the log-probabilities of the prompt (`echo` with
 * `logprobs`). The server's own tokens decide; one that lies across the end of the context counts as continuation, and
 * so do spaces at its end, as tokens begin with theirs. Where it tells how many tokens it reads, longer prompts lose
 * their beginning and longer texts are read in windows, one token being left for the answer that it has to write.
 */
export class HttpScorer implements Scorer {
  readonly name: string;
  maxLength: number | null = null;
  readonly parameterCount = null;
  cutRequests = 0;
  unscoredStarts = 0;
  readonly #options: HttpScorerOptions;

  constructor(options: HttpScorerOptions) {
    this.name = options.model;
    this.#options = options;
  }

  likelihoods(requests: readonly LikelihoodRequest[], report: Report): Promise<Likelihood[][]> {
    return this.#each(requests, report, ({ context, continuations }) => {
      const start = codePointCount(context.trimEnd());
      const asked = continuations.map((continuation) => ({ text: context + continuation, start }));
      return orWhereTooLong(
        () => this.#score(asked),
        (refusal) => this.#scoreEnds(asked, refusal),
      );
    });
  }

  textLikelihoods(texts: readonly string[], report: Report): Promise<number[]> {
    return this.#each(texts, report, async (text) => {
      return orWhereTooLong(
        async () => (await this.#score([{ text, start: 0 }]))[0]?.logProb ?? Number.NaN,
        (refusal) => this.#scoreInWindows(text, refusal),
      );
    });
  }

  continuations(requests: readonly ContinuationRequest[], report: Report): Promise<string[]> {
    return this.#each(requests, report, async ({ context, until, maxNewTokens, sampling }, index) => {
      const { temperature, topP } = sampling;
      const settings = {
        ...{ max_tokens: maxNewTokens, temperature, top_p: topP, seed: this.#options.seed + index },
        ...(until.length > 0 ? { stop: until.slice(0, 4) } : {}),
      };
      const [choice] = await orWhereTooLong(
        () => this.#complete({ prompt: context, ...settings }),
        async (refusal) => {
          const { ids, context: length } = await this.#idsOf(context, refusal);
          this.cutRequests += 1;
          return this.#complete({ prompt: ids.slice(-Math.max(1, length - maxNewTokens)), ...settings });
        },
      );
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

  async #score(asked: readonly AskedText[]): Promise<Likelihood[]> {
    const prompt = asked.map(({ text }) => text);
    const choices = await this.#complete({ ...scoring, prompt });
    if (choices.length !== asked.length) {
      throw this.#refusal(`${choices.length} answers to ${asked.length} prompts at a time`);
    }
    return asked.map(({ text, start }, i) => {
      const tokens = promptTokens(choices[i] as CompletionChoice, text);
      if (!tokens) throw this.#refusal(noneOfPrompt);
      return this.#likelihoodOf(tokens, start, codePointCount(text));
    });
  }

  /** Likelihoods of texts of which some are too long: those lose their beginning. */
  async #scoreEnds(asked: readonly AskedText[], refusal: TooLongError): Promise<Likelihood[]> {
    const found: Likelihood[] = [];
    let isCut = false;
    for (const { text, start } of asked) {
      const { ids, context } = await this.#idsOf(text, refusal);
      const kept = ids.slice(1 - context);
      const tokens = await this.#tokensOf(kept, codePointCount(text));
      if (kept.length < ids.length) {
        isCut = true;
        if ((tokens[0]?.end ?? 0) > start) {
          const answer = [...text].slice(start).join("");
          throw answerTooLong(answer, `is longer than the ${context} tokens that ${this.name} reads`);
        }
      }
      found.push(this.#likelihoodOf(tokens, start, codePointCount(text)));
    }
    if (isCut) this.cutRequests += 1;
    return found;
  }

  /** The likelihood of a text that is too long: each of its tokens is predicted in one of the windows. */
  async #scoreInWindows(text: string, refusal: TooLongError): Promise<number> {
    const { ids, prefix, context } = await this.#idsOf(text, refusal);
    let sum = 0;
    for (const window of rollingWindows(Int32Array.from(ids.slice(1)), ids[0] ?? 0, context - 2)) {
      const tokens = await this.#tokensOf([...window.context, ...window.continuation], 0);
      for (const { value } of tokens.slice(-window.continuation.length)) {
        if (value === null) throw this.#refusal(someMissing);
        sum += value;
      }
    }
    if (prefix === 0) this.unscoredStarts += 1;
    return sum;
  }

  async #idsOf(text: string, refusal: TooLongError): Promise<PromptIds> {
    const found = await promptIds(this.#options, text, refusal);
    this.maxLength = found.context;
    return found;
  }

  /** Tokens of a prompt of ids, placed so that they end at `end`. */
  async #tokensOf(ids: readonly number[], end: number): Promise<PromptToken[]> {
    const [choice] = await this.#complete({ ...scoring, prompt: [...ids] });
    const all = choice && promptTokens(choice, "");
    if (!all || all.length < ids.length) throw this.#refusal(noneOfPrompt);
    const shift = end - (all[ids.length]?.start ?? codePointCount(choice.text));
    return all.slice(0, ids.length).map((token, i) => ({
      ...token,
      start: token.start + shift,
      end: i === ids.length - 1 ? end : token.end + shift,
    }));
  }

  #likelihoodOf(tokens: readonly PromptToken[], start: number, end: number): Likelihood {
    const { isComplete, isStartUnscored, ...likelihood } = likelihoodOf(tokens, start, end);
    if (!isComplete) throw this.#refusal(someMissing);
    if (isStartUnscored) this.unscoredStarts += 1;
    return likelihood;
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
