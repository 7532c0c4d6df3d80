import { pipeline, Readable } from "node:stream";
import { parse } from "csv-parse";
import { DataError } from "../core/errors.ts";
import { systemCode } from "../files/file-error.ts";
import type { JsonlRow } from "./jsonl.ts";
import { readText } from "./text-file.ts";

/**
 * The rows of a CSV file (`.csv`), or one whose columns are apart by tabs (`.tsv`), or a `.gz` of them: the first line
 * names the columns, every value is a string. Values that hold commas, quotes or line ends stand in double quotes.
 *
 * @throws {FileError} when the file cannot be read.
 * @throws {DataError} naming file and line, when a row has more or fewer values than the first
 * line has names, or there are no rows.
 */
export async function* readCsv(path: string): AsyncGenerator<JsonlRow, void, undefined> {
  const parser = parse({
    columns: (names: string[]) => checkedNames(path, names),
    delimiter: /\.tsv(?:\.gz)?$/i.test(path) ? "\t" : ",",
    info: true,
    skip_empty_lines: true,
  });
  // Errors of either stream reach the reader through the last one.
  const rows: AsyncIterable<ParsedRow> = pipeline(Readable.from(readText(path)), parser, () => {});
  let count = 0;
  try {
    for await (const { record, info } of rows) {
      count += 1;
      yield { where: `${path}, line ${info.lines}`, line: info.lines, value: record };
    }
  } catch (error) {
    throw csvError(path, error);
  }
  if (count === 0) {
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

function csvError(path: string, error: unknown): unknown {
  if (!systemCode(error)?.startsWith("CSV_")) return error;
  const message = error instanceof Error ? error.message.replaceAll(/\s+/g, " ") : "";
  return new DataError(`${path}: is not CSV: ${message}; put values that hold commas or quotes in double quotes`, {
    cause: error,
  });
}
