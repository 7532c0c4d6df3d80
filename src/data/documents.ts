import { DataError } from "../core/errors.ts";
import { BadRows } from "./bad-rows.ts";
import { stringColumn } from "./jsonl.ts";
import { readRecords } from "./records.ts";
import { readText } from "./text-file.ts";

/** A stretch of a document's text. A document short enough is one piece. */
export interface TextPiece {
  /** The document: `path` of a text file, `path, line 12` of a row. */
  readonly name: string;
  readonly text: string;
  /** Whether the document ends here. */
  readonly last: boolean;
}

/** Length, in UTF-16 units, from which a text file is handed out in pieces. */
const pieceLength = 2 ** 17;

/** How documents are read from files of rows. */
export interface DocumentReading {
  /** The column of the text. Default: `text`. */
  readonly textColumn?: string | undefined;
  /** What is done with a row that has no text, or cannot be read. Default: an error. */
  readonly bad?: BadRows | undefined;
}

/**
 * The documents of some files, in order and piece by piece, so that a file larger than memory can be read.
 *
 * A document is what its writer meant to be read as one: a whole text file, or the text of one row of a file of rows
 * (`.jsonl`, `.ndjson`, `.json`, or `.gz` of them; `.parquet`). Rows with an empty text are left out. A text file is cut
 * where a word ends and white space begins, see {@link endOfWord}.
 *
 * @throws {FileError} when a file cannot be read.
 * @throws {DataError} naming file and line, when a file is not UTF-8, without text, or has a row without a text.
 */
export async function* readDocuments(
  files: readonly string[],
  reading: DocumentReading = {},
): AsyncGenerator<TextPiece, void, undefined> {
  for (const file of files) yield* hasRows(file) ? readRows(file, reading) : readTextFile(file);
}

async function* readRows(
  path: string,
  { textColumn = "text", bad = new BadRows() }: DocumentReading,
): AsyncGenerator<TextPiece, void, undefined> {
  let [rows, empty] = [0, 0];
  for await (const row of readRecords([path], bad)) {
    const text = bad.attempt(() => stringColumn(row, textColumn, "--text-column"));
    if (text === "") empty += 1;
    if (!text) continue;
    rows += 1;
    yield { name: row.where, text, last: true };
  }
  if (empty === 0) bad.refuseNone(rows);
  if (rows === 0) throw new DataError(`${path}: every "${textColumn}" is empty; give a file with text in it`);
}

async function* readTextFile(name: string): AsyncGenerator<TextPiece, void, undefined> {
  let pending = "";
  for await (const text of readText(name)) {
    pending += text;
    if (pending.length < pieceLength) continue;
    const cut = endOfWord(pending);
    yield { name, text: pending.slice(0, cut), last: false };
    pending = pending.slice(cut);
  }
  if (pending === "") throw new DataError(`${name}: the file is empty; give one with text in it`);
  yield { name, text: pending, last: true };
}

function hasRows(path: string): boolean {
  return /\.(?:jsonl|ndjson|json)(?:\.gz)?$|\.parquet$/i.test(path);
}

/** How far from the end a good place to cut is searched for. */
const searchLength = 2 ** 14;

/**
 * The last place inside `text` where a letter is followed by white space, the one boundary that the pre-tokenisers of
 * the GPT family never join across; where there is none near the end, the last place between two characters.
 */
export function endOfWord(text: string): number {
  for (let at = text.length - 1; at > Math.max(0, text.length - searchLength); at--) {
    if (/^\p{L}\s$/u.test(text.slice(at - 1, at + 1))) return at;
  }
  const at = text.length - 1;
  return isLowSurrogate(text, at) ? at - 1 : at;
}

/** Longest way to go from a wanted place to the end of the word that it is in. */
const wordLength = 2 ** 8;

/** The first place at or after `from` between a letter and white space; between characters when no word ends near. */
export function nextEndOfWord(text: string, from: number): number {
  for (let at = Math.max(1, from); at < Math.min(text.length, from + wordLength); at++) {
    if (/^\p{L}\s$/u.test(text.slice(at - 1, at + 1))) return at;
  }
  return isLowSurrogate(text, from) ? from + 1 : from;
}

function isLowSurrogate(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff;
}
