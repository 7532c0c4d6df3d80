import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../core/errors.ts";
import { fileError } from "../files/file-error.ts";
import { BadRows } from "./bad-rows.ts";
import { readCsv } from "./csv.ts";
import type { JsonlRow } from "./jsonl.ts";
import { readJsonl } from "./jsonl.ts";
import { readParquet } from "./parquet.ts";
import { expandGlobs } from "./sources.ts";

/**
 * The rows of some files of JSON (`.jsonl`, `.ndjson`, `.json`), CSV (`.csv`, `.tsv`; any of these may be `.gz`) and
 * Parquet, in order. A path may be a glob.
 *
 * @param bad - What is done with a row that cannot be read.
 */
export async function* readRecords(
  paths: readonly string[],
  bad = new BadRows(),
): AsyncGenerator<JsonlRow, void, undefined> {
  for (const path of await expandGlobs(paths)) {
    if (/\.parquet$/i.test(path)) yield* readParquet(path);
    else if (/\.(?:jsonl|ndjson|json)(?:\.gz)?$/i.test(path)) yield* readJsonl(path, bad);
    else if (/\.[ct]sv(?:\.gz)?$/i.test(path)) yield* readCsv(path, bad);
    else throw await unknownKind(path);
  }
}

/** The error of a path that no reader is for. @throws {FileError} when there is nothing of that name. */
async function unknownKind(path: string): Promise<DataError> {
  const there = await stat(path).catch((error: unknown) => {
    throw fileError(path, "read", error);
  });
  if (there.isDirectory()) {
    return new DataError(`${path}: is a folder; give its files, such as "${join(path, "*.jsonl")}"`);
  }
  return new DataError(`${path}: is neither JSON nor CSV nor Parquet by its name; rename or convert the file`);
}

/** How one kind of row is recognised and read. */
export interface Layout<Item> {
  /** As messages name it: its columns. */
  readonly name: string;
  /** Columns that a row must have to be of this kind. */
  readonly columns: readonly string[];
  /** @throws {DataError} naming the row and the column. */
  read(row: JsonlRow): Item;
}

/**
 * Reads rows that are all of one layout: the first of the list that fits the first row of each file. A path may be a
 * glob.
 *
 * @param bad - What is done with a row that cannot be used.
 * @throws {DataError} naming file, row and columns, when no layout fits or rows are mixed.
 */
export async function readAll<Item>(
  paths: readonly string[],
  layouts: readonly Layout<Item>[],
  bad = new BadRows(),
): Promise<Item[]> {
  const items: Item[] = [];
  for (const path of await expandGlobs(paths)) {
    let layout: Layout<Item> | null = null;
    for await (const read of readRecords([path], bad)) {
      const item = bad.attempt(() => {
        const row = withoutNulls(read);
        layout ??= layouts.find(({ columns }) => columns.every((column) => column in row.value)) ?? null;
        return readRow(row, layout, layouts);
      });
      if (item !== undefined) items.push(item);
    }
  }
  bad.refuseNone(items.length);
  if (items.length === 0) throw new DataError("data: no file is given; name a JSON, CSV or Parquet file");
  return items;
}

function readRow<Item>(row: JsonlRow, layout: Layout<Item> | null, layouts: readonly Layout<Item>[]): Item {
  if (!layout) throw unknownLayout(row, layouts);
  const missing = layout.columns.find((column) => !(column in row.value));
  if (missing === undefined) return layout.read(row);
  throw new DataError(
    `${row.where}: has no column "${missing}", unlike the rows before it (${layout.name}), ` +
      `but ${namesOf(row)}; keep one layout in a file`,
  );
}

/** Deepest nesting of a row's values. */
const deepest = 200;

/**
 * Keys that are null are absent, at any depth: libraries of tables write every key in every row.
 *
 * @throws {DataError} naming the row, when it is nested deeper than any row that means something.
 */
export function withoutNulls(row: JsonlRow): JsonlRow {
  const prune = (value: unknown, depth: number): unknown => {
    if (depth > deepest) throw new DataError(`${row.where}: is nested more than ${deepest} deep; remove the row`);
    if (Array.isArray(value)) return value.map((item) => prune(item, depth + 1));
    if (typeof value !== "object" || value === null || value instanceof Date) return value;
    const known = Object.entries(value).filter(([, item]) => item !== null && item !== undefined);
    return Object.fromEntries(known.map(([name, item]) => [name, prune(item, depth + 1)]));
  };
  return { ...row, value: prune(row.value, 0) as JsonlRow["value"] };
}

function unknownLayout(row: JsonlRow, layouts: readonly Layout<unknown>[]): DataError {
  const known = layouts.map(({ name }) => name).join("; ");
  return new DataError(`${row.where}: has ${namesOf(row)}, which is none of the known layouts: ${known}`);
}

function namesOf(row: JsonlRow): string {
  const names = Object.keys(row.value).map((name) => `"${name}"`);
  return names.length === 0 ? "no columns" : `columns ${names.join(", ")}`;
}

/** The error of a column that holds something else than it should. */
export function columnError(row: JsonlRow, column: string, expected: string): DataError {
  const text = JSON.stringify(row.value[column]) ?? "nothing";
  const shown = text.length > 60 ? `${text.slice(0, 59)}…` : text;
  return new DataError(`${row.where}: column "${column}" must be ${expected}, it is ${shown}`);
}
