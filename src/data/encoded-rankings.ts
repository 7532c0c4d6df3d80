import { DataError, SettingsError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import { mostOf } from "../core/most-of.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import type { ChatEncoder } from "../text/encode-chat.ts";
import { BadRows } from "./bad-rows.ts";
import type { LongRows } from "./chat-rows.ts";
import { encodeRow } from "./chat-rows.ts";
import type { Judgement } from "./judgements.ts";
import type { Prompt } from "./prompts.ts";
import type { Preference, Ranking } from "./rankings.ts";

/** Token ids of a prompt and of an answer to it, its end token included. */
export interface EncodedAnswer {
  readonly prompt: Int32Array;
  readonly answer: Int32Array;
}

/** A {@link Ranking} in token ids. */
export interface EncodedRanking extends Pick<Ranking, "where" | "ranks" | "margin"> {
  readonly answers: readonly EncodedAnswer[];
}

/** A {@link Preference} in token ids. */
export interface EncodedPreference extends Pick<Preference, "where" | "margin" | "distance"> {
  readonly chosen: EncodedAnswer;
  readonly rejected: EncodedAnswer;
}

/** A {@link Judgement} in token ids. */
export interface EncodedJudgement extends Pick<Judgement, "where" | "isDesirable"> {
  readonly answered: EncodedAnswer;
}

/** A {@link Prompt} in token ids. */
export interface EncodedPrompt extends Prompt {
  readonly ids: Int32Array;
}

/** What fits a context, and how many rows do not. */
export interface Fitting<Item> {
  readonly items: readonly Item[];
  readonly skipped: number;
  /** Tokens of the longest row, with those that are to follow it, whether it fits or not. */
  readonly longest: number;
}

/** How rows are made to fit. */
export interface FittingOptions {
  /** Most tokens of a row. */
  readonly context: number;
  readonly longRows: LongRows;
  /** What is done with a row that the template refuses. Default: an error. */
  readonly bad?: BadRows;
}

/** One answer in token ids: what `encoder` gives for the conversation, cut where the answer begins and after its end. */
export function encodeAnswer(
  { where, messages, variables }: Prompt,
  answer: ChatMessage,
  encoder: ChatEncoder,
): EncodedAnswer {
  const { ids, isAnswer } = encodeRow({ where, messages: [...messages, answer], variables }, encoder);
  const end = isAnswer.lastIndexOf(1) + 1;
  const start = isAnswer.subarray(0, end).lastIndexOf(0) + 1;
  return { prompt: ids.slice(0, start), answer: ids.slice(start, end) };
}

/**
 * Rankings in token ids.
 *
 * @throws {DataError} naming the row, when an answer with its prompt is longer than `context` and `longRows` is
 * `error`, or when no row is left. Preferences cannot be cut: `truncate` leaves them out like `skip`.
 */
export async function encodeRankings(
  rankings: readonly Ranking[],
  encoder: ChatEncoder,
  options: FittingOptions,
): Promise<Fitting<EncodedRanking>> {
  return fitting(rankings, options, 0, ({ where, prompt, variables, answers, ranks, margin }) => {
    const asked = { where, messages: prompt, variables };
    const encoded = answers.map((answer) => encodeAnswer(asked, answer, encoder));
    return { item: { where, ranks, margin, answers: encoded }, length: mostOf(encoded, lengthOf) };
  });
}

/** Preferences in token ids; as {@link encodeRankings}. */
export async function encodePreferences(
  preferences: readonly Preference[],
  encoder: ChatEncoder,
  options: FittingOptions,
): Promise<Fitting<EncodedPreference>> {
  return fitting(preferences, options, 0, ({ where, prompt, variables, margin, distance, ...pair }) => {
    const asked = { where, messages: prompt, variables };
    const chosen = encodeAnswer(asked, pair.chosen, encoder);
    const rejected = encodeAnswer(asked, pair.rejected, encoder);
    return {
      item: { where, margin, distance, chosen, rejected },
      length: Math.max(lengthOf(chosen), lengthOf(rejected)),
    };
  });
}

/** Judged answers in token ids; as {@link encodeRankings}. */
export async function encodeJudgements(
  judgements: readonly Judgement[],
  encoder: ChatEncoder,
  options: FittingOptions,
): Promise<Fitting<EncodedJudgement>> {
  return fitting(judgements, options, 0, ({ where, prompt, variables, answer, isDesirable }) => {
    const answered = encodeAnswer({ where, messages: prompt, variables }, answer, encoder);
    return { item: { where, isDesirable, answered }, length: lengthOf(answered) };
  });
}

/**
 * Prompts in token ids, each with room for `answerTokens` more in the context; as {@link encodeRankings}.
 *
 * @throws {SettingsError} when answers leave no room for a prompt.
 */
export async function encodePrompts(
  prompts: readonly Prompt[],
  encoder: ChatEncoder,
  answerTokens: number,
  options: FittingOptions,
): Promise<Fitting<EncodedPrompt>> {
  const { context } = options;
  if (answerTokens >= context) {
    throw new SettingsError(
      `max-new-tokens: answers of ${answerTokens} tokens leave no room for a prompt in a context of ${context}; lower it`,
    );
  }
  return fitting(prompts, options, answerTokens, (prompt) => {
    const ids = encoder.encodePrompt(prompt.messages, prompt.variables);
    return { item: { ...prompt, ids }, length: ids.length };
  });
}

function lengthOf({ prompt, answer }: EncodedAnswer): number {
  return prompt.length + answer.length;
}

async function fitting<Row extends { readonly where: string }, Item>(
  rows: readonly Row[],
  { context, longRows, bad = new BadRows() }: FittingOptions,
  answerTokens: number,
  encode: (row: Row) => { item: Item; length: number },
): Promise<Fitting<Item>> {
  let [longest, skipped] = [0, 0];
  const items: Item[] = [];
  for (const row of rows) {
    await turnEventLoopWhenDue();
    const encoded = bad.attempt(() => encode(row));
    if (!encoded) continue;
    const length = encoded.length + answerTokens;
    longest = Math.max(longest, length);
    if (length <= context) {
      items.push(encoded.item);
      continue;
    }
    skipped += 1;
    if (longRows !== "error") continue;
    throw new DataError(
      `${row.where}: has ${encoded.length} tokens, there is room for ${Math.max(0, context - answerTokens)} in the context; ` +
        "shorten it or the answer that is to follow (--max-new-tokens), raise --context where the model reads more, or use " +
        "--long-rows skip",
    );
  }
  bad.refuseNone(items.length + skipped);
  if (items.length === 0) {
    throw new DataError(
      `data: none of ${rows.length} rows fits into ${context - answerTokens} tokens; use a larger context`,
    );
  }
  return { items, skipped, longest };
}

/** Tokens of the longest answer with its prompt. */
export function longestAnswer(answers: readonly EncodedAnswer[]): number {
  return Math.max(1, mostOf(answers, lengthOf));
}
