import { z } from "zod";
import { SettingsError } from "../core/errors.ts";
import { mostOf } from "../core/most-of.ts";
import type { BadRowChoice } from "../data/bad-rows.ts";
import { BadRows, badRowChoices } from "../data/bad-rows.ts";

/** What is done with rows that cannot be used, to spread into a stage's schema. */
export const badRowSettings = {
  badRows: z
    .enum(badRowChoices)
    .default("error")
    .describe("what to do with a row that cannot be used: end, or leave it out and say how many and why")
    .meta({ group: "Data" }),
} as const;

/** How long a row may be, to spread into a stage's schema. */
export const contextSettings = {
  context: z
    .int()
    .positive()
    .nullable()
    .default(null)
    .describe(
      "most tokens of a row; default: what the longest row needs, at most what the model reads and memory holds",
    )
    .meta({ aliases: ["max_length", "max_seq_length"], group: "Data" }),
} as const;

/** Rows are given room in steps of so many tokens. */
export const contextStep = 64;

/**
 * The most tokens that a row may have: what was asked for, or what the model reads.
 *
 * @throws {SettingsError} when more was asked for than the model reads.
 */
export function longestContext(asked: number | null, model: number): number {
  if (asked === null || asked <= model) return asked ?? model;
  throw new SettingsError(`context: ${asked} is more than the ${model} tokens that the model reads; lower it`);
}

/**
 * The context of a run whose rows have some lengths: what was asked for, else what the longest row needs in steps of 64,
 * at most what the model reads.
 *
 * @throws {SettingsError} as {@link longestContext} does.
 */
export function resolveContext(asked: number | null, lengths: readonly number[], model: number): number {
  const most = longestContext(asked, model);
  if (asked !== null) return asked;
  const longest = mostOf(lengths, (length) => length);
  return Math.min(most, Math.ceil(Math.max(longest, 1) / contextStep) * contextStep);
}

/**
 * Reads rows and says what was left out of them.
 *
 * @throws {unknown} the reason of `signal` when that is aborted between two rows.
 */
export async function readNotingBad<Rows>(
  { badRows }: { readonly badRows: BadRowChoice },
  { note, signal }: { readonly note: (line: string) => void; readonly signal?: AbortSignal | undefined },
  read: (bad: BadRows) => Promise<Rows>,
): Promise<Rows> {
  const bad = new BadRows(badRows, signal);
  const rows = await read(bad);
  for (const line of bad.notes()) note(line);
  return rows;
}

/** What is said of rows that are longer than the context. */
export interface LongRowsReport {
  /** Rows that were left out. */
  readonly skipped: number;
  /** Rows that were cut. */
  readonly truncated?: number;
  readonly total: number;
  /** What the rows are, as in `conversations`. */
  readonly noun: string;
  /** Tokens of the longest row. */
  readonly longest: number;
  readonly context: number;
  /** Most tokens that the model reads. */
  readonly model: number;
}

/** Says how many rows are longer than the context, how long the longest is, and which context keeps them. */
export function noteLongRows(note: (line: string) => void, report: LongRowsReport): void {
  const { skipped, truncated = 0, total, noun, longest, context, model } = report;
  const remedy =
    longest <= model
      ? `--context ${longest} keeps them whole`
      : `the model reads at most ${model}, whatever --context says`;
  const reason = `longer than the context of ${context} tokens; the longest has ${longest}; ${remedy}`;
  if (skipped > 0) note(`left out ${skipped} of ${total} ${noun}: ${reason}`);
  if (truncated > 0) note(`cut the ends of ${truncated} of ${total} ${noun}: ${reason}`);
}
