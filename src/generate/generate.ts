import { NumericalError, SettingsError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import type { DrawReader } from "../core/random.ts";
import { Random } from "../core/random.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { CacheType } from "../nn/key-value-cache.ts";
import { Decoder } from "./decoder.ts";
import type { CheckedOptions } from "./generation-settings.ts";
import { checkedOptions } from "./generation-settings.ts";
import type { SamplingOptions } from "./sampling.ts";
import { sampleToken } from "./sampling.ts";
import type { TokenNames } from "./spare-rows.ts";
import { neverDraw, spareRows } from "./spare-rows.ts";
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
}

interface Sequence {
  readonly index: number;
  readonly tokens: number[];
  readonly seen: Set<number>;
  readonly reader: DrawReader;
  readonly promptLength: number;
  /** Tokens not yet fed to the model. */
  pending: readonly number[];
}

/**
 * Continues prompts, token by token; those of different sequences come interleaved. Each sequence draws from a
 * generator of its own, so what it says does not depend on what is decoded beside it. Leaving the loop ends it at once.
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
  const { context, vocabularySize } = model.settings;
  const spare = spareRows(options.tokenizer, vocabularySize);
  const slots = Math.min(options.batchSize ?? prompts.length, prompts.length);
  const longest = prompts.reduce((length, prompt) => Math.max(length, prompt.length), 0);
  const decoder = new Decoder(model, slots, Math.min(context, longest + options.maxNewTokens), options.cacheType);
  const waiting = prompts.map((prompt, index) => newSequence(prompt, index, options.seed)).reverse();
  const running: Sequence[] = [];
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      const start = performance.now();
      admit(decoder, waiting, running, slots);
      if (running.length === 0) return;
      for (const [slot, sequence] of running.entries()) makeRoom(decoder, slot, sequence, context);
      const logits = await decoder.feed(running.map((sequence) => sequence.pending));
      const chosen = running.map((sequence, slot) => choose(logits[slot] ?? null, spare, sequence, options));
      for (let slot = chosen.length - 1; slot >= 0; slot--) if (chosen[slot]?.finish) close(decoder, running, slot);
      yield* chosen;
      await turnEventLoopWhenDue(start); // what was made of these tokens is sent before the next are computed
    }
  } finally {
    decoder.release();
  }
}

/** Gives free slots to sequences that wait. */
function admit(decoder: Decoder, waiting: Sequence[], running: Sequence[], slots: number): void {
  while (running.length < slots) {
    const next = waiting.pop();
    if (!next) return;
    running.push(next);
    decoder.open();
  }
}

function newSequence(prompt: TokenList, index: number, seed: number): Sequence {
  const tokens = [...prompt];
  const reader = new Random(seed).child(index).reader();
  return { index, tokens, seen: new Set(tokens), reader, promptLength: tokens.length, pending: tokens.slice() };
}

function choose(
  logits: Float32Array | null,
  spare: readonly number[],
  sequence: Sequence,
  options: CheckedOptions,
): GeneratedToken {
  if (!logits) throw new Error("internal: a sequence had nothing to feed");
  if (Number.isNaN(logits[0])) {
    throw new NumericalError("generate: the model gives NaN instead of logits; its weights are damaged");
  }
  neverDraw(logits, spare);
  const token = sampleToken(logits, options.sampling, sequence.seen, sequence.reader);
  sequence.tokens.push(token);
  sequence.seen.add(token);
  sequence.pending = [token];
  return { index: sequence.index, token, finish: finishOf(token, sequence, options) };
}

function finishOf(token: number, sequence: Sequence, options: GenerationOptions): FinishReason | null {
  if (options.endTokens?.has(token) || options.shouldStop?.(sequence.index, token)) return "stop";
  return sequence.tokens.length - sequence.promptLength >= options.maxNewTokens ? "length" : null;
}

/** Forgets the older half of a sequence that has filled the context. */
function makeRoom(decoder: Decoder, slot: number, sequence: Sequence, context: number): void {
  if (decoder.length(slot) + sequence.pending.length <= context) return;
  decoder.reset(slot);
  sequence.pending = sequence.tokens.slice(-Math.max(1, Math.floor(context / 2)));
}

function close(decoder: Decoder, running: Sequence[], slot: number): void {
  const moved = decoder.close(slot);
  const last = running.pop();
  if (moved !== null && last) running[slot] = last;
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
