import { DataError } from "../core/errors.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import type { TemplateVariables } from "../text/chat-template.ts";
import { BadRows } from "./bad-rows.ts";
import { answerColumn, messagesColumn, promptColumns, startsWith, templateColumns } from "./chat-columns.ts";
import type { JsonlRow } from "./jsonl.ts";
import type { Layout } from "./records.ts";
import { columnError, readAll } from "./records.ts";

/** Answers to one prompt in the order of somebody's preference. */
export interface Ranking {
  /** How messages name it. */
  readonly where: string;
  readonly prompt: readonly ChatMessage[];
  /** What the chat template may refer to beside the messages, such as `tools`. */
  readonly variables?: TemplateVariables | undefined;
  readonly answers: readonly ChatMessage[];
  /** One for each answer: 1 is best, equal ranks are ties. */
  readonly ranks: readonly number[];
  /** By how much a pair's rewards should differ, where the data says so. */
  readonly margin: number | null;
}

/** One answer preferred to another. */
export interface Preference {
  readonly where: string;
  readonly prompt: readonly ChatMessage[];
  /** What the chat template may refer to beside the messages, such as `tools`. */
  readonly variables?: TemplateVariables | undefined;
  readonly chosen: ChatMessage;
  readonly rejected: ChatMessage;
  readonly margin: number | null;
  /** Ranks between the two; 1 for data that is pairs. */
  readonly distance: number;
}

/** What rows of rankings and pairs look like. */
export const rankingLayouts: readonly Layout<Ranking>[] = [
  ranked('"prompt", "completions" and "ranks"', "ranks", (value) => value),
  ranked('"prompt", "completions" and "scores"', "scores", (value) => -value),
  pair('"prompt", "chosen" and "rejected"', ["prompt", "chosen", "rejected"]),
  pair('"instruction", "chosen" and "rejected"', ["instruction", "chosen", "rejected"]),
  pair('"conversations", "chosen" and "rejected"', ["conversations", "chosen", "rejected"]),
  pair('"chosen" and "rejected", both lists of messages', ["chosen", "rejected"]),
];

/**
 * People's preferences from files of JSON, CSV or Parquet: rankings of K answers (`prompt`, `completions`, and `ranks`, 1 the
 * best, or `scores`, the highest the best), or pairs (`prompt`, `chosen`, `rejected`, and perhaps `margin`).
 *
 * @param bad - What is done with a row that cannot be used.
 * @throws {DataError} naming row and column, when columns are wrong or mixed, an answer is empty, a ranking has fewer
 * than two answers, all ranks are equal, ranks and scores contradict each other, or a margin is negative.
 */
export async function readRankings(paths: readonly string[], bad = new BadRows()): Promise<Ranking[]> {
  return readAll(paths, rankingLayouts, bad);
}

/** Every pair of a ranking but the ties, each as a preference of its own. */
export function pairsOf({ where, prompt, variables, answers, ranks, margin }: Ranking): Preference[] {
  return answers.flatMap((chosen, i) =>
    answers.flatMap((rejected, j) => {
      const distance = (ranks[j] ?? 0) - (ranks[i] ?? 0);
      return distance > 0 ? [{ where, prompt, variables, chosen, rejected, margin, distance }] : [];
    }),
  );
}

/** 1 for the smallest value, 2 for the next, …; the same for equal values. */
export function denseRanks(values: readonly number[]): number[] {
  const order = [...new Set(values)].sort((a, b) => a - b);
  return values.map((value) => order.indexOf(value) + 1);
}

function ranked(name: string, column: "ranks" | "scores", order: (value: number) => number): Layout<Ranking> {
  return {
    name,
    columns: ["prompt", "completions", column],
    read(row) {
      const prompt = promptColumns(row);
      const { completions } = row.value;
      if (!Array.isArray(completions) || completions.length < 2) {
        throw columnError(row, "completions", "a list of at least 2 answers to compare");
      }
      const answers = completions.map((_, i) => {
        const inner = { ...row, value: { [`completions[${i}]`]: completions[i] as unknown } };
        return answerColumn(inner, `completions[${i}]`, prompt);
      });
      const values = numbersColumn(row, column, answers.length);
      if (new Set(values).size === 1) {
        throw new DataError(
          `${row.where}: column "${column}": all ${values.length} are equal (${values[0]}), which prefers nothing; remove the row`,
        );
      }
      const ranks = denseRanks(values.map(order));
      if (column === "ranks" && "scores" in row.value) refuseContradiction(row, ranks);
      return { where: row.where, prompt, variables: templateColumns(row), answers, ranks, margin: null };
    },
  };
}

/** A row may have scores beside its ranks as long as no answer is better by one and worse by the other. */
function refuseContradiction(row: JsonlRow, ranks: readonly number[]): void {
  const scores = numbersColumn(row, "scores", ranks.length);
  for (const [i, rank] of ranks.entries()) {
    const worse = ranks.findIndex((other, j) => rank < other && scores[i]! < scores[j]!);
    if (worse < 0) continue;
    throw new DataError(
      `${row.where}: columns "ranks" and "scores" contradict each other: completion ${i + 1} has the better rank, ` +
        `completion ${worse + 1} the higher score; correct the row, or keep one of the columns`,
    );
  }
}

function numbersColumn(row: JsonlRow, column: string, count: number): number[] {
  const value = row.value[column];
  const isNumber = (item: unknown): item is number => typeof item === "number" && Number.isFinite(item);
  if (Array.isArray(value) && value.length === count && value.every(isNumber)) return value;
  throw columnError(row, column, `a list of ${count} numbers, one for each completion`);
}

function pair(name: string, columns: readonly string[]): Layout<Ranking> {
  return {
    name,
    columns,
    read(row) {
      const prompt = columns.length === 3 ? promptColumns(row) : sharedTurns(row);
      const answers = [answerColumn(row, "chosen", prompt), answerColumn(row, "rejected", prompt)];
      const margin = row.value.margin ?? null;
      if (margin !== null && !(typeof margin === "number" && Number.isFinite(margin) && margin >= 0)) {
        throw columnError(row, "margin", "a number that is not negative");
      }
      if (answers[0]?.content === answers[1]?.content) {
        throw new DataError(`${row.where}: columns "chosen" and "rejected" are the same text; remove the row`);
      }
      return { where: row.where, prompt, variables: templateColumns(row), answers, ranks: [1, 2], margin };
    },
  };
}

/** The turns with which both conversations of a pair begin. */
function sharedTurns(row: JsonlRow): ChatMessage[] {
  for (const column of ["chosen", "rejected"]) {
    if (typeof row.value[column] === "string") {
      throw columnError(row, column, 'a list of messages, or there must be a column "prompt" beside it');
    }
  }
  const [chosen, rejected] = [messagesColumn(row, "chosen"), messagesColumn(row, "rejected")];
  let length = Math.max(0, Math.min(chosen.length, rejected.length) - 1);
  while (length > 0 && !startsWith(rejected, chosen.slice(0, length))) length -= 1;
  return chosen.slice(0, length);
}
