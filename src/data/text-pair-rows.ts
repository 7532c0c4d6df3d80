import { DataError } from "../core/errors.ts";
import { BadRows } from "./bad-rows.ts";
import type { JsonlRow } from "./jsonl.ts";
import { columnError, readRecords, withoutNulls } from "./records.ts";

/** A text and what is to be made of it. */
export interface TextPairRow {
  /** How messages name it. */
  readonly where: string;
  readonly source: string;
  readonly target: string;
}

/** Columns that hold pairs in files that people have; the first two that a row has are taken. */
const usualColumns = [
  ["source", "target"],
  ["src", "tgt"],
  ["input", "output"],
  ["input_text", "target_text"],
  ["prompt", "completion"],
  ["document", "summary"],
  ["article", "highlights"],
  ["dialogue", "summary"],
  ["text", "summary"],
  ["question", "answer"],
] as const;

/** In which columns the two texts are; null: in those that rows usually have. */
export interface PairColumns {
  readonly source: string | null;
  readonly target: string | null;
}

/**
 * Reads pairs of texts from files of JSON, CSV or Parquet. An object in the column `translation`, a text for each
 * language, counts as the row.
 *
 * @param bad - What is done with a row that cannot be used.
 * @throws {DataError} naming file, row and column, when one is missing, empty, or holds something else.
 */
export async function readTextPairs(
  paths: readonly string[],
  columns: PairColumns,
  bad = new BadRows(),
): Promise<TextPairRow[]> {
  const pairs: TextPairRow[] = [];
  for await (const row of readRecords(paths, bad)) {
    const pair = bad.attempt(() => readPair(unwrapped(withoutNulls(row)), columns));
    if (pair) pairs.push(pair);
  }
  bad.refuseNone(pairs.length);
  if (pairs.length === 0) throw new DataError("data: no file is given; name a JSON, CSV or Parquet file");
  return pairs;
}

function unwrapped(row: JsonlRow): JsonlRow {
  const { translation } = row.value;
  if (typeof translation !== "object" || translation === null || Array.isArray(translation)) return row;
  return { ...row, value: translation as JsonlRow["value"] };
}

function readPair(row: JsonlRow, { source, target }: PairColumns): TextPairRow {
  const names = Object.keys(row.value);
  // Of a translation into one language, the two are all that there is.
  const only = names.length === 2 ? (names as [string, string]) : null;
  const [first, second] = usualColumns.find((pair) => pair.every((name) => names.includes(name))) ?? only ?? [];
  const from = source ?? (first === target ? second : first);
  const to = target ?? (second === source ? first : second);
  if (from === undefined || to === undefined) {
    const found = names.length === 0 ? "no columns" : `columns ${names.map((name) => `"${name}"`).join(", ")}`;
    throw new DataError(
      `${row.where}: has ${found}, of which none are known to be a pair; name two with --source-column and --target-column`,
    );
  }
  return { where: row.where, source: textOf(row, from, "--source-column"), target: textOf(row, to, "--target-column") };
}

function textOf(row: JsonlRow, column: string, flag: string): string {
  const value = row.value[column];
  if (value === undefined) {
    const names = Object.keys(row.value).map((name) => `"${name}"`);
    throw new DataError(`${row.where}: has no column "${column}", but ${names.join(", ")}; name it with ${flag}`);
  }
  if (typeof value !== "string" || value.trim() === "") throw columnError(row, column, "a text that is not empty");
  return value;
}
