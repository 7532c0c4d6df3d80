import { DataError } from "../core/errors.ts";
import { readText } from "./text-file.ts";

/** One row of a JSONL file. */
export interface JsonlRow {
  /** `path, line 12`: how messages name it. */
  readonly where: string;
  /** 1-based line of the file, blank lines counted. */
  readonly line: number;
  readonly value: Readonly<Record<string, unknown>>;
}

/** Longest line accepted, in UTF-16 units: far below what a string can hold, far above any record. */
const maxLineLength = 2 ** 28;

/**
 * The rows of a JSONL file (`.jsonl`, or `.gz` of it), one at a time: a JSON object a line. Blank lines, a byte order
 * mark and CRLF line ends are fine.
 *
 * @throws {FileError} when the file cannot be read.
 * @throws {DataError} naming file and line, when the file is not UTF-8, has a line that is not a JSON object, or has no
 * rows.
 */
export async function* readJsonl(path: string): AsyncGenerator<JsonlRow, void, undefined> {
  let line = 0;
  let rows = 0;
  for await (const text of readLines(path)) {
    line += 1;
    if (text.trim() === "") continue;
    rows += 1;
    const where = `${path}, line ${line}`;
    yield { where, line, value: parseRow(where, text) };
  }
  if (rows === 0) throw new DataError(`${path}: has no rows; it must hold one JSON object a line`);
}

/**
 * The string in a column of a row.
 *
 * @throws {DataError} naming the row's file and line and the columns it has instead.
 */
export function stringColumn(row: JsonlRow, column: string): string {
  const value = row.value[column];
  if (typeof value === "string") return value;
  const columns = Object.entries(row.value).map(([name, item]) => `"${name}" (${describe(item)})`);
  const found = columns.length === 0 ? "no columns" : columns.slice(0, 12).join(", ");
  throw new DataError(`${row.where}: has no string column "${column}", it has ${found}; rename or add the column`);
}

/** What kind of value it is, as it appears in messages. */
function describe(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

async function* readLines(path: string): AsyncGenerator<string, void, undefined> {
  let parts: string[] = [];
  let partsLength = 0;
  let line = 1;
  for await (const text of readText(path)) {
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      parts.push(text.slice(start, end));
      yield parts.length === 1 ? text.slice(start, end) : parts.join("");
      parts = [];
      partsLength = 0;
      start = end + 1;
      line += 1;
    }
    parts.push(text.slice(start));
    partsLength += text.length - start;
    if (partsLength > maxLineLength) {
      throw new DataError(`${path}, line ${line}: is longer than ${maxLineLength} characters; put one record a line`);
    }
  }
  if (partsLength > 0) yield parts.join("");
}

function parseRow(where: string, text: string): JsonlRow["value"] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const remedy = /^\s*\[/.test(text)
      ? "it looks like one JSON array: write its items one a line (jq -c '.[]' IN > OUT)"
      : "correct or remove the line";
    throw new DataError(`${where}: is not JSON (${shorten(reason)}); ${remedy}`, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new DataError(`${where}: is a JSON ${describe(value)}, a row must be an object such as {"text": "…"}`);
  }
  return value as JsonlRow["value"];
}

function shorten(reason: string): string {
  const line = reason.replaceAll(/\s+/g, " ");
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
}
