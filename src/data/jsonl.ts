import { DataError } from "../core/errors.ts";
import { BadRows } from "./bad-rows.ts";
import { readArrayItems } from "./json-array.ts";
import { readText } from "./text-file.ts";

/** One row of a file of rows. */
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
 * The rows of a JSON file, one at a time: a JSON object a line, or one array of objects, as the first character tells.
 * It may be compressed by gzip. Blank lines, a byte order mark and CRLF line ends are fine.
 *
 * @param bad - What is done with a row that is no JSON object; an error where it is left out.
 * @throws {FileError} when the file cannot be read.
 * @throws {DataError} naming file and line, when the file is not UTF-8, has a row that is not a JSON object, or has no
 * rows.
 */
export async function* readJsonl(path: string, bad = new BadRows()): AsyncGenerator<JsonlRow, void, undefined> {
  let rows = 0;
  for await (const { text, line } of readItems(path)) {
    if (text.trim() === "") continue;
    rows += 1;
    const where = `${path}, line ${line}`;
    const value = bad.attempt(() => parseRow(where, text));
    if (value) yield { where, line, value };
  }
  if (rows === 0) throw new DataError(`${path}: has no rows; it must hold one JSON object a line, or an array of them`);
}

/** The texts of the rows, by the first character that is not white space. */
async function* readItems(path: string): AsyncGenerator<{ text: string; line: number }, void, undefined> {
  const pieces = readText(path);
  let start = "";
  while (start.trim() === "") {
    const { value, done } = await pieces.next();
    if (done) return;
    start += value;
  }
  const all = joined(start, pieces);
  yield* start.trimStart().startsWith("[") ? readArrayItems(path, all) : readLines(path, all);
}

async function* joined(start: string, rest: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  yield start;
  yield* rest;
}

/**
 * The string in a column of a row.
 *
 * @param flag - The flag that names the column, for the message.
 * @throws {DataError} naming the row's file and line and the columns it has instead.
 */
export function stringColumn(row: JsonlRow, column: string, flag: string): string {
  const value = row.value[column];
  if (typeof value === "string") return value;
  const entries = Object.entries(row.value);
  const columns = entries.map(([name, item]) => `"${name}" (${describe(item)})`);
  const found = columns.length === 0 ? "no columns" : columns.slice(0, 12).join(", ");
  const fault = column in row.value ? `column "${column}" is no string` : `has no string column "${column}"`;
  const hasOther = entries.some(([, item]) => typeof item === "string");
  const remedy = hasOther ? `name one with ${flag}` : "correct or remove the row";
  throw new DataError(`${row.where}: ${fault}, it has ${found}; ${remedy}`);
}

/** What kind of value it is, as it appears in messages. */
function describe(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

async function* readLines(
  path: string,
  pieces: AsyncIterable<string>,
): AsyncGenerator<{ text: string; line: number }, void, undefined> {
  let parts: string[] = [];
  let partsLength = 0;
  let line = 1;
  for await (const text of pieces) {
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      parts.push(text.slice(start, end));
      yield { text: parts.length === 1 ? text.slice(start, end) : parts.join(""), line };
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
  if (partsLength > 0) yield { text: parts.join(""), line };
}

function parseRow(where: string, text: string): JsonlRow["value"] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DataError(`${where}: is not JSON (${shorten(reason)}); correct or remove the row`, { cause: error });
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
