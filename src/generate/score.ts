import type { ChosenToken } from "../backend/token-choice.ts";
import { NumericalError, SettingsError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { PassPart } from "./decoder.ts";
import { Decoder } from "./decoder.ts";
import { givenChoice } from "./sampling.ts";

/** How likely a model finds a sequence. */
export interface Score {
  readonly tokenIds: readonly number[];
  /** log p(token | tokens before it), in nats; null for the first, which nothing precedes. */
  readonly logProbs: readonly (number | null)[];
  /** Mean of −log p over all tokens but the first. */
  readonly loss: number;
  /** exp(loss) */
  readonly perplexity: number;
}

/**
 * Log-probability of every token of a sequence. A sequence longer than the model's context is read in windows that
 * overlap by half, so that each token but those of the first window is preceded by at least half a context.
 *
 * @throws {SettingsError} when there are fewer than two tokens, or ids outside the vocabulary.
 * @throws {NumericalError} when the model computes something else than numbers.
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export async function score(
  model: LanguageModel,
  ids: readonly number[] | Int32Array,
  signal?: AbortSignal,
): Promise<Score> {
  const { context, vocabularySize } = model.settings;
  const outside = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
  if (outside !== undefined) {
    throw new SettingsError(`score: token ${outside} is outside the model's vocabulary of ${vocabularySize}`);
  }
  if (ids.length < 2) {
    throw new SettingsError(`score: needs at least 2 tokens, got ${ids.length}; the first one has nothing before it`);
  }
  const logProbs: (number | null)[] = [null];
  for (const { start, end, known } of scoredWindows(ids.length, context)) {
    signal?.throwIfAborted();
    const values = await windowLogProbs(model, ids.slice(start, end));
    for (let i = known - start - 1; i < values.length; i++) logProbs.push(values[i] ?? 0);
  }
  const loss = -logProbs.reduce<number>((sum, value) => sum + (value ?? 0), 0) / (ids.length - 1);
  if (Number.isNaN(loss)) {
    throw new NumericalError(
      "score: the model gives NaN instead of probabilities; its weights are damaged, take another",
    );
  }
  return { tokenIds: [...ids], logProbs, loss, perplexity: Math.exp(loss) };
}

/** A part of a sequence that is read at once, to score its tokens from `known` on. */
export interface ScoredWindow {
  readonly start: number;
  readonly end: number;
  readonly known: number;
}

/**
 * Windows that score each token of a sequence but the first once. They overlap by half.
 *
 * @param length - Of the sequence, in tokens.
 * @param context - Tokens before the last one of a window, at most.
 */
export function scoredWindows(length: number, context: number): ScoredWindow[] {
  const windows: ScoredWindow[] = [];
  for (let known = 1; known < length; known = windows.at(-1)?.end ?? length) {
    const start = known === 1 ? 0 : Math.max(0, known - Math.max(1, Math.floor(context / 2)));
    windows.push({ start, end: Math.min(length, start + context + 1), known });
  }
  return windows;
}

/** log p of tokens 1 … n − 1 of a window, each given those before it. */
async function windowLogProbs(model: LanguageModel, window: readonly number[] | Int32Array): Promise<number[]> {
  const tokens = Int32Array.from(window.slice(0, -1));
  const decoder = new Decoder(model, 1, tokens.length);
  try {
    const parts = [{ slot: 0, tokens, first: 0, rows: tokens.length }];
    const scored = await scoreTokens(model, decoder, parts, [...window.slice(1)]);
    return scored.map(({ token, logprob }) => (token < 0 ? Number.NaN : (logprob ?? Number.NaN)));
  } finally {
    decoder.release();
  }
}

/**
 * Log-probability of a token behind each row that is wanted of a pass, with the likeliest token there: as an engine scores
 * prompts, to the same bits. A prefix model sees nothing at once. Where the model gives no numbers, the token is −1. The event loop
 * turns behind it when that is due, as no tensor is read that would do so.
 *
 * @param targets - The tokens, in the order of the rows.
 */
export async function scoreTokens(
  { backend }: LanguageModel,
  decoder: Decoder,
  parts: readonly PassPart[],
  targets: readonly number[],
): Promise<ChosenToken[]> {
  const read = (logits: Tensor, first: number): Promise<readonly ChosenToken[]> => {
    const own = targets.slice(first, first + logits.axis(0));
    return backend.chooseTokens(
      logits,
      own.map((target) => givenChoice(target, 1)),
    );
  };
  const scored = await decoder.pass(parts, read, false);
  await turnEventLoopWhenDue();
  return scored;
}
