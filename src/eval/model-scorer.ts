import { DataError, UnsupportedError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import { generateText } from "../generate/generate-text.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { parameterCount } from "../nn/parameters.ts";
import { begun } from "../text/text-bounds.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { ContinuationRequest, Likelihood, LikelihoodRequest, Report, Scorer } from "./scorer.ts";
import type { TokenRequest } from "./token-likelihoods.ts";
import { likelihoodsAlone, likelihoodsOfChoices } from "./token-likelihoods.ts";

/** How a {@link ModelScorer} works. */
export interface ModelScorerOptions {
  readonly name: string;
  /** Tokens that go through the model at once, at most. */
  readonly batchTokens: number;
  /** Reads a context once for all of its continuations. Off only to see what it saves. */
  readonly sharePrefix?: boolean;
  readonly seed: number;
  /** Ends what is asked, with its reason as the error. */
  readonly signal?: AbortSignal | undefined;
  /** Tokens that end a text; the tokenizer's end of text when left out. */
  readonly endTokens?: ReadonlySet<number>;
}

/** Asks one of our models. Texts become tokens as the evaluation harness makes them. */
export class ModelScorer implements Scorer {
  readonly name: string;
  readonly maxLength: number;
  readonly parameterCount: number;
  cutRequests = 0;
  readonly unscoredStarts = 0;
  readonly #model: LanguageModel;
  readonly #tokenizer: Tokenizer;
  readonly #options: ModelScorerOptions;

  constructor(model: LanguageModel, tokenizer: Tokenizer, options: ModelScorerOptions) {
    this.name = options.name;
    this.maxLength = model.settings.context;
    this.parameterCount = parameterCount(model);
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#options = options;
  }

  async likelihoods(requests: readonly LikelihoodRequest[], report: Report): Promise<Likelihood[][]> {
    const { batchTokens, sharePrefix = true, signal } = this.#options;
    const groups: TokenRequest[][] = [];
    for (const { context, continuations } of requests) {
      groups.push(continuations.map((text) => this.#pair(context, text)));
      await turnEventLoopWhenDue();
      signal?.throwIfAborted();
    }
    for (const [i, group] of groups.entries()) {
      const long = group.findIndex(({ continuation }) => continuation.length > this.maxLength);
      if (long >= 0) throw this.#tooLong(requests[i]?.continuations[long] ?? "", group[long]?.continuation.length ?? 0);
    }
    const canShare = (group: readonly TokenRequest[]): boolean =>
      sharePrefix &&
      group.length > 1 &&
      group.every((own) => this.#fits(own) && sameIds(own.context, group[0]?.context));
    const shared = groups.flatMap((group, i) => (canShare(group) ? [i] : []));
    const alone = groups.flatMap((group, i) => (canShare(group) ? [] : group.map((own, j) => ({ own, i, j }))));
    const out: Likelihood[][] = groups.map(() => []);
    const sharedGroups = shared.map((i) => groups[i] as TokenRequest[]);
    const ofShared = await likelihoodsOfChoices(this.#model, sharedGroups, batchTokens, report, signal);
    for (const [k, i] of shared.entries()) out[i] = ofShared[k] as Likelihood[];
    this.cutRequests += groups.filter((group) => !group.every((own) => this.#fits(own))).length;
    const cut = alone.map(({ own }) => this.#cut(own));
    const share = (groups.length - shared.length) / Math.max(alone.length, 1);
    const reportAlone: Report = (done) => report(shared.length + Math.floor(done * share));
    const ofAlone = await likelihoodsAlone(this.#model, cut, batchTokens, reportAlone, signal);
    for (const [k, { i, j }] of alone.entries()) (out[i] as Likelihood[])[j] = ofAlone[k] as Likelihood;
    return out;
  }

  async textLikelihoods(texts: readonly string[], report: Report): Promise<number[]> {
    const windows = texts.flatMap((text, index) =>
      rollingWindows(this.#tokenizer.encode(text), this.#prefixToken(), this.maxLength).map((own) => ({ own, index })),
    );
    const requests = windows.map(({ own }) => own);
    const share = texts.length / Math.max(windows.length, 1);
    const { batchTokens, signal } = this.#options;
    const reportTexts: Report = (done) => report(Math.floor(done * share));
    const found = await likelihoodsAlone(this.#model, requests, batchTokens, reportTexts, signal);
    const sums = texts.map(() => 0);
    for (const [i, { index }] of windows.entries()) sums[index] = (sums[index] ?? 0) + (found[i]?.logProb ?? 0);
    return sums;
  }

  async continuations(requests: readonly ContinuationRequest[], report: Report): Promise<string[]> {
    const texts = requests.map(() => "");
    let done = 0;
    for (const group of groupsOfLikeSettings(requests)) {
      const [first] = group;
      if (!first) continue;
      const { maxNewTokens, until, sampling } = first.request;
      const room = Math.max(1, this.maxLength - maxNewTokens);
      const whole = group.map(({ request }) => this.#encodeContext(request.context));
      const prompts = whole.map((ids) => ids.slice(-room));
      this.cutRequests += whole.filter((ids) => ids.length > room).length;
      const { endOfText } = this.#tokenizer;
      const options = {
        ...{ sampling, maxNewTokens, stop: until, seed: this.#options.seed, batchSize: 32, isAnswer: true },
        signal: this.#options.signal,
        endTokens: this.#options.endTokens ?? new Set(endOfText === null ? [] : [endOfText]),
      };
      for await (const { index, text, finish } of generateText(this.#model, this.#tokenizer, prompts, options)) {
        const at = group[index]?.index ?? 0;
        texts[at] += text;
        if (finish) {
          done += 1;
          report(done);
        }
      }
    }
    return texts;
  }

  /** Spaces at the end of a context belong to what follows, as tokens begin with theirs. */
  #pair(context: string, continuation: string): TokenRequest {
    const kept = context.trimEnd();
    const ids = this.#encodeContext(kept);
    const rest = context.slice(kept.length) + continuation;
    if (kept === "") return { context: ids, continuation: this.#tokenizer.encode(rest) };
    const behind = this.#encodeContext(kept + rest).slice(ids.length);
    const own = behind.length > 0 ? behind : this.#tokenizer.encode(rest, { continues: true });
    return { context: ids, continuation: own };
  }

  #encodeContext(text: string): Int32Array {
    const ids = begun(this.#tokenizer, this.#tokenizer.encode(text));
    return ids.length > 0 ? ids : Int32Array.of(this.#prefixToken());
  }

  #prefixToken(): number {
    const { endOfText, roles } = this.#tokenizer;
    const id = (roles.bos === undefined ? null : this.#tokenizer.idOf(roles.bos)) ?? endOfText;
    if (id !== null) return id;
    throw new UnsupportedError(
      `${this.name}: its tokenizer has no token that begins or ends a text, which a text without context needs before it`,
    );
  }

  #tooLong(text: string, tokens: number): DataError {
    return answerTooLong(text, `has ${tokens} tokens, ${this.name} reads ${this.maxLength}`);
  }

  #fits({ context, continuation }: TokenRequest): boolean {
    return context.length + continuation.length - 1 <= this.maxLength;
  }

  /** The end of a context that leaves room for what follows. */
  #cut({ context, continuation }: TokenRequest): TokenRequest {
    const room = this.maxLength + 1 - continuation.length;
    return { context: context.slice(Math.max(0, context.length - room)), continuation };
  }
}

/**
 * The error of an answer that no model could be asked for as a whole.
 *
 * @param fact - What is said of it: `has 30 tokens, …`.
 */
export function answerTooLong(text: string, fact: string): DataError {
  return new DataError(
    `eval: the answer "${text.trim().slice(0, 40)}…" ${fact}; ` +
      "shorten it, or ask with output_type loglikelihood_rolling, which reads long texts in parts",
  );
}

/**
 * Windows in which every token of a text is predicted once: the first begins with `prefix`; each later one begins with
 * the last token of the one before, and the last of all is filled up with earlier tokens as context.
 */
export function rollingWindows(ids: Int32Array, prefix: number, maxLength: number): TokenRequest[] {
  if (ids.length === 0) return [];
  const first = ids.slice(0, maxLength);
  const windows: TokenRequest[] = [{ context: Int32Array.of(prefix), continuation: first }];
  for (let done = first.length; done < ids.length; ) {
    const end = Math.min(done + maxLength, ids.length);
    const start = end - maxLength - 1;
    windows.push({ context: ids.slice(start, done), continuation: ids.slice(done, end) });
    done = end;
  }
  return windows;
}

interface Placed {
  readonly request: ContinuationRequest;
  readonly index: number;
}

function groupsOfLikeSettings(requests: readonly ContinuationRequest[]): Placed[][] {
  const groups = new Map<string, Placed[]>();
  for (const [index, request] of requests.entries()) {
    const { context: _, ...settings } = request;
    const key = JSON.stringify(settings);
    groups.set(key, [...(groups.get(key) ?? []), { request, index }]);
  }
  return [...groups.values()];
}

function sameIds(a: Int32Array, b: Int32Array | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((id, i) => id === b[i]);
}
