import { DataError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import { BadRows } from "./bad-rows.ts";
import type { DocumentReading, TextPiece } from "./documents.ts";
import { nextEndOfWord, readDocuments } from "./documents.ts";
import { checkUnchanged } from "./fingerprint.ts";
import type { DataSource } from "./sources.ts";
import type { CorpusScan, Split } from "./split.ts";
import { documentHash, planSplit } from "./split.ts";
import type { TokenPart, TokenRecipe } from "./token-cache.ts";
import { partsOf } from "./token-cache.ts";
import type { TokenFileInfo } from "./token-file.ts";
import type { WriterOptions } from "./token-writer.ts";
import { TokenWriter } from "./token-writer.ts";

/** How far the preparation of one source is. */
export interface PreparationProgress {
  readonly source: string;
  /** Text is read twice: to check and divide it, then to encode it. */
  readonly phase: "check" | "encode";
  /** UTF-16 units of text behind us in this phase. */
  readonly done: number;
  /** UTF-16 units of text in all; null while they are being counted. */
  readonly total: number | null;
  /** Tokens written so far. */
  readonly tokens: number;
}

/** How a source is encoded. */
export interface EncodingOptions extends WriterOptions {
  readonly onProgress: (progress: PreparationProgress) => void;
  readonly signal: AbortSignal | undefined;
  readonly onNote: (line: string) => void;
}

/**
 * Reads a source twice, first to check it and plan its split, then to write the token file of each part.
 *
 * @throws {FileError} when text cannot be read, or token files cannot be written.
 * @throws {DataError} when text cannot be encoded, changes meanwhile, or a part stays without text.
 */
export async function encodeSource(
  source: DataSource,
  recipe: TokenRecipe,
  pathOf: (part: TokenPart) => string,
  options: EncodingOptions,
): Promise<Partial<Record<TokenPart, TokenFileInfo>>> {
  const scan = await scanSource(source, recipe, options);
  const writers = new Map<TokenPart, TokenWriter>();
  try {
    for (const part of partsOf(recipe)) writers.set(part, await TokenWriter.create(pathOf(part), options));
    await writeDocuments(source, scan, recipe, writers, options);
    await checkUnchanged(recipe.files);
    const infos: Partial<Record<TokenPart, TokenFileInfo>> = {};
    for (const [part, writer] of writers) {
      infos[part] = await writer.finish();
      if (infos[part].tokens > 0) continue;
      throw new DataError(
        `${source.name}: has too little text for ${part === "validation" ? "validation" : "training"} (` +
          `${totalLength(scan)} characters in all); add text, or give a file for validation`,
      );
    }
    return infos;
  } finally {
    for (const writer of writers.values()) await writer.close();
  }
}

function splitOf(scan: CorpusScan, { split }: TokenRecipe): Split {
  return planSplit(scan, split?.fraction ?? 0, split?.capLength ?? Number.POSITIVE_INFINITY);
}

async function scanSource(source: DataSource, recipe: TokenRecipe, options: EncodingOptions): Promise<CorpusScan> {
  const scan: CorpusScan = { lengths: [], hashes: [] };
  const report = reporter(source, "check", null, options);
  const seed = recipe.split?.seed ?? 0;
  let length = 0;
  const reading = readingOf(recipe);
  for await (const piece of readDocuments(source.files, reading)) {
    options.signal?.throwIfAborted();
    if (length === 0) scan.hashes.push(recipe.split ? documentHash(seed, piece.text) : 0);
    length += piece.text.length;
    report(piece.text.length, 0);
    if (!piece.last) continue;
    scan.lengths.push(length);
    length = 0;
  }
  for (const line of reading.bad.notes()) options.onNote(line);
  return scan;
}

function readingOf({ rows }: TokenRecipe): DocumentReading & { readonly bad: BadRows } {
  return { textColumn: rows?.textColumn, bad: new BadRows(rows?.badRows) };
}

async function writeDocuments(
  source: DataSource,
  scan: CorpusScan,
  recipe: TokenRecipe,
  writers: ReadonlyMap<TokenPart, TokenWriter>,
  options: EncodingOptions,
): Promise<void> {
  const split = splitOf(scan, recipe);
  const training = writers.get("train") ?? writers.get("all");
  const validation = writers.get("validation");
  const report = reporter(source, "encode", totalLength(scan), options);
  let document = 0;
  let position = 0;
  for await (const piece of readDocuments(source.files, readingOf(recipe))) {
    await turnEventLoopWhenDue();
    options.signal?.throwIfAborted();
    const place = placeOfSplit(piece, split(document) - position);
    await writePiece(piece, place, training, validation);
    position += piece.text.length;
    report(piece.text.length, (training?.tokens ?? 0) + (validation?.tokens ?? 0));
    if (!piece.last) continue;
    document += 1;
    position = 0;
  }
}

/** Writes the text up to `place` to one side and the rest to the other. */
async function writePiece(
  { name, text, last }: TextPiece,
  place: number,
  training: TokenWriter | undefined,
  validation: TokenWriter | undefined,
): Promise<void> {
  try {
    await training?.write(text.slice(0, place));
    if (last || place < text.length) await training?.endDocument();
    await validation?.write(text.slice(place));
    if (last) await validation?.endDocument();
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw new DataError(`${name}: ${error.message}`, { cause: error });
  }
}

/** Where in a piece validation begins: at the end of a word. */
function placeOfSplit({ text }: TextPiece, wanted: number): number {
  if (wanted <= 0) return 0;
  return wanted >= text.length ? text.length : nextEndOfWord(text, wanted);
}

function totalLength(scan: CorpusScan): number {
  return scan.lengths.reduce((a, b) => a + b, 0);
}

/** Counts what is done and reports it, not more often than every 64 Ki characters. */
function reporter(
  source: DataSource,
  phase: PreparationProgress["phase"],
  total: number | null,
  { onProgress }: EncodingOptions,
): (length: number, tokens: number) => void {
  let done = 0;
  let reported = 0;
  return (length, tokens) => {
    done += length;
    if (done - reported < 2 ** 16 && done !== total) return;
    reported = done;
    onProgress({ source: source.name, phase, done, total, tokens });
  };
}
