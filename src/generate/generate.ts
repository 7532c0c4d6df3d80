import { NumericalError, SettingsError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { CacheType } from "../nn/key-value-cache.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { EngineOptions } from "./engine.ts";
import { Engine } from "./engine.ts";
import type { CheckedOptions } from "./generation-settings.ts";
import { checkedOptions } from "./generation-settings.ts";
import type { AnswerGrammar } from "./grammar/answer-grammar.ts";
import { matchersFor } from "./grammar/grammar-matcher.ts";
import type { SamplingOptions } from "./sampling.ts";
import type { EngineEvent } from "./sequence-request.ts";
import type { TokenNames } from "./spare-rows.ts";
import type { TokenList } from "./token-lists.ts";
import { refuseOtherIds, refuseOtherLists } from "./token-lists.ts";

/** Why a sequence ended: an end token, or the limit on new tokens. */
export type FinishReason = "stop" | "length";

/** One new token of one sequence. */
export interface GeneratedToken {
  /** Which prompt it continues. */
  readonly index: number;
  readonly token: number;
  /** Set on the last token of a sequence. An end token itself is given, too. */
  readonly finish: FinishReason | null;
}

/** What to generate. */
export interface GenerationOptions {
  /** How tokens are chosen; by default, from the model's own distribution. */
  readonly sampling?: SamplingOptions;
  readonly maxNewTokens: number;
  /** Tokens that end a sequence. */
  readonly endTokens?: ReadonlySet<number>;
  /** Asked after each token; true ends the sequence, as an end token does. */
  readonly shouldStop?: (index: number, token: number) => boolean;
  readonly seed: number;
  /** Sequences decoded side by side; default: all. */
  readonly batchSize?: number;
  /** How keys and values of earlier tokens are kept; default: float32. */
  readonly cacheType?: CacheType | undefined;
  /** Ends everything before the next token, with its reason as the error. */
  readonly signal?: AbortSignal | undefined;
  /** What may be drawn: ids that it has a token for. Every row of the model's embedding when left out. */
  readonly tokenizer?: TokenNames | undefined;
  /**
   * What each continuation must match; the tokenizer has to be a whole one, and there must be end tokens. A text ends where
   * it fills the model's context.
   */
  readonly grammar?: AnswerGrammar | undefined;
}

/** One prompt's text, and what is asked of the engine for it. */
interface Text {
  readonly index: number;
  readonly tokens: number[];
  readonly promptLength: number;
}

/**
 * Continues prompts, token by token; those of different sequences come interleaved. Each sequence draws from a
 * generator of its own, so what it says does not depend on what is decoded beside it. Leaving the loop ends it at once.
 * Prompts that are alike and follow each other are read once.
 *
 * A sequence that reaches the model's context goes on: the older half is forgotten and the rest read again.
 *
 * @throws {SettingsError} when an option is missing, wrong or unknown, or a prompt is empty, longer than the model's context, or holds ids outside its vocabulary.
 * @throws {unknown} the reason of `signal` when that is aborted: an `AbortError` unless it says otherwise.
 */
export async function* generate(
  model: LanguageModel,
  prompts: readonly TokenList[],
  given: GenerationOptions,
): AsyncGenerator<GeneratedToken, void, undefined> {
  const options = checkedOptions(given);
  checkPrompts(model, prompts);
  if (prompts.length === 0) return;
  const longest = prompts.reduce((length, prompt) => Math.max(length, prompt.length), 0);
  const capacity = Math.min(model.settings.context, longest + options.maxNewTokens);
  const engine = new Engine(model, {
    ...{ slots: Math.min(options.batchSize ?? prompts.length, prompts.length), capacity },
    ...{ cacheType: options.cacheType, tokenizer: options.tokenizer, guideOf: guidesOf(model, options) },
  });
  try {
    const texts = new Texts(engine, prompts, options, capacity);
    while (!engine.isIdle) {
      options.signal?.throwIfAborted();
      const start = performance.now();
      yield* (await engine.step()).flatMap((event) => texts.take(event));
      await turnEventLoopWhenDue(start); // what was made of these tokens is sent before the next are computed
    }
  } finally {
    engine.release();
  }
}

function guidesOf(model: LanguageModel, { grammar, tokenizer }: CheckedOptions): EngineOptions["guideOf"] {
  if (grammar === undefined) return undefined;
  if (tokenizer && "specialTokens" in tokenizer)
    return matchersFor(tokenizer as Tokenizer, model.settings.vocabularySize);
  throw new SettingsError("generate: a grammar needs the model's tokenizer; give that, too");
}

/** The texts under way, and what becomes of each new token. */
class Texts {
  readonly #engine: Engine;
  readonly #options: CheckedOptions;
  readonly #capacity: number;
  /** By the id of their request, copy by copy. */
  readonly #byRequest = new Map<number, readonly Text[]>();

  constructor(engine: Engine, prompts: readonly TokenList[], options: CheckedOptions, capacity: number) {
    this.#engine = engine;
    this.#options = options;
    this.#capacity = capacity;
    for (let first = 0; first < prompts.length; ) {
      const prompt = prompts[first] ?? [];
      let end = first + 1;
      while (end < prompts.length && isSame(prompt, prompts[end] ?? [])) end++;
      const texts = Array.from({ length: end - first }, (_, copy) => ({
        ...{ index: first + copy, tokens: [...prompt], promptLength: prompt.length },
      }));
      this.#ask(texts, prompt);
      first = end;
    }
  }

  /** What an event means to who asked for texts. */
  take(event: EngineEvent): GeneratedToken[] {
    if (event.type === "failed") throw new NumericalError(event.message);
    if (event.type !== "token") return [];
    const text = this.#byRequest.get(event.id)?.[event.copy];
    if (!text) return [];
    const { index, tokens, promptLength } = text;
    const { token } = event.token;
    const { shouldStop, maxNewTokens, grammar } = this.#options;
    tokens.push(token);
    const isStopped = event.finish === "stop" || (shouldStop?.(index, token) ?? false);
    const isFull = event.finish === "length" && grammar !== undefined;
    const isWhole = isFull || tokens.length - promptLength >= maxNewTokens;
    if (isStopped && event.finish === null) this.#engine.cancel(event.id, event.copy);
    if (event.finish === "length" && !isStopped && !isWhole) this.#goOn(text);
    return [{ index, token, finish: isStopped ? "stop" : isWhole ? "length" : null }];
  }

  /** Forgets the older half of a text that has filled the context. */
  #goOn(text: Text): void {
    const half = Math.max(1, Math.floor(this.#capacity / 2));
    this.#ask([text], text.tokens.slice(-half));
  }

  #ask(texts: readonly Text[], prompt: TokenList): void {
    const [text] = texts;
    if (!text) return;
    const { sampling, seed, endTokens = [], maxNewTokens, grammar = null } = this.#options;
    const made = text.tokens.length - text.promptLength;
    const id = this.#byRequest.size;
    this.#byRequest.set(id, texts);
    this.#engine.add({
      ...{ id, prompt, copies: texts.length, sampling, seed, stream: text.index, seen: text.tokens },
      drawn: sampling.temperature === 0 ? 0 : made,
      maxNewTokens: Math.min(maxNewTokens - made, this.#capacity - prompt.length + 1),
      endTokens: [...endTokens],
      ...{ logprobs: null, promptLogprobs: false, owner: "", grammar },
    });
  }
}

function isSame(a: TokenList, b: TokenList): boolean {
  return a.length === b.length && a.every((token, i) => token === b[i]);
}

/**
 * Makes sure that a model can continue prompts.
 *
 * @throws {SettingsError} naming the first prompt that is no list of ids, empty, longer than the context, or of another vocabulary.
 */
export function checkPrompts(model: LanguageModel, prompts: readonly TokenList[]): void {
  refuseOtherLists("prompt", prompts);
  for (const [index, prompt] of prompts.entries()) checkPrompt(model, prompt, index);
}

function checkPrompt(model: LanguageModel, prompt: TokenList, index: number): void {
  const { context, vocabularySize } = model.settings;
  if (prompt.length === 0) {
    throw new SettingsError(
      `generate: prompt ${index + 1} has no tokens; give it at least one character, or the end-of-text token`,
    );
  }
  if (prompt.length > context) {
    throw new SettingsError(
      `generate: prompt ${index + 1} has ${prompt.length} tokens, the model's context is ${context}; shorten the prompt`,
    );
  }
  refuseOtherIds(`prompt ${index + 1}`, prompt, vocabularySize);
}
