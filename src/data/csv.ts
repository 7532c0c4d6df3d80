import { pipeline, Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { DataError } from "../core/errors.ts";
import { BadRows } from "./bad-rows.ts";
import type { JsonlRow } from "./jsonl.ts";
import { readText } from "./text-file.ts";

/**
 * The rows of a CSV file (`.csv`), or one whose columns are apart by tabs (`.tsv`), or a `.gz` of them: the first line
 * names the columns, every value is a string. Values that hold commas, quotes or line ends stand in double quotes. Where
 * the first line has tabs or semicolons and no comma, these separate the columns.
 *
 * @throws {FileError} when the file cannot be read.
 * @throws {DataError} naming file and line, when a row has more or fewer values than the first
 * line has names, or there are no rows.
 */
export async function* readCsv(path: string, bad = new BadRows()): AsyncGenerator<JsonlRow, void, undefined> {
  const text = readText(path);
  const start = await firstLine(text);
  const separator = /\.tsv(?:\.gz)?$/i.test(path) ? "\t" : separatorOf(start);
  const parser = parse({
    columns: (names: string[]) => checkedNames(path, names),
    delimiter: separator,
    info: true,
    skip_empty_lines: true,
    ...(bad.choice === "skip" && {
      skip_records_with_error: true,
      on_skip: (error: unknown): undefined => {
        bad.add(csvError(path, separator, error) as DataError);
      },
    }),
  });
  // Errors of either stream reach the reader through the last one.
  const rows: AsyncIterable<ParsedRow> = pipeline(Readable.from(joined(start, text)), parser, () => {});
  let count = 0;
  try {
    for await (const { record, info } of rows) {
      count += 1;
      yield { where: `${path}, line ${info.lines}`, line: info.lines, value: record };
    }
  } catch (error) {
    throw csvError(path, separator, error);
  }
  if (count === 0 && bad.count === 0) {
    throw new DataError(`${path}: has no rows; its first line must name the columns, the others hold values`);
  }
}

interface ParsedRow {
  readonly record: Readonly<Record<string, string>>;
  readonly info: { readonly lines: number };
}

function checkedNames(path: string, names: readonly string[]): string[] {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return [...names];
  throw new DataError(`${path}, line 1: names the column "${twice}" twice; rename one of the two`);
}

/** The beginning of a text with its first line, and what was read with it. */
async function firstLine(text: AsyncGenerator<string, void, undefined>): Promise<string> {
  let start = "";
  while (!/[\r\n]/.test(start.trimStart())) {
    const { value, done } = await text.next();
    if (done) break;
    start += value;
  }
  return start;
}

async function* joined(start: string, rest: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  yield start;
  yield* rest;
}

/** What separates the columns of a file that begins so, quoted names aside. */
function separatorOf(start: string): string {
  const names = /^.*/.exec(start.trimStart().replaceAll(/"(?:[^"]|"")*"/g, ""))?.[0] ?? "";
  return [",", "\t", ";"].find((separator) => names.includes(separator)) ?? ",";
}

function csvError(path: string, separator: string, error: unknown): unknown {
  if (!(error instanceof CsvError)) return error;
  const message = error.message.replaceAll(/\s+/g, " ");
  const held = { ",": "commas", "\t": "tabs", ";": "semicolons" }[separator];
  return new DataError(
    `${path}: is not CSV: ${message}; put values that hold ${held} or quotes in double quotes, and double the quotes in them`,
    { cause: error },
  );
}
