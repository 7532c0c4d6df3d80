import { NumericalError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { EncoderDecoder } from "../models/encoder-decoder.ts";
import { boundsOf } from "../text/text-bounds.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { BeamSearch } from "./beam-search.ts";
import { checkSearchOptions, checkWritingOptions } from "./generation-settings.ts";
import type { SamplingOptions } from "./sampling.ts";
import { sampleToken, samplingOf } from "./sampling.ts";
import type { TokenNames } from "./spare-rows.ts";
import { neverDraw, spareRows } from "./spare-rows.ts";
import { TextWriter } from "./text-writer.ts";
import type { TokenList } from "./token-lists.ts";
import { refuseOtherLists } from "./token-lists.ts";

/** A text written after reading another. */
export interface WrittenText {
  /** Its tokens, without the one that ends it. */
  readonly tokens: Int32Array;
  /** Whether it ended by itself rather than at the limit. */
  readonly ended: boolean;
}

/** How texts are written by sampling; temperature 0 always takes the likeliest token. */
export interface WritingOptions {
  /** By default, from the model's own distribution. */
  readonly sampling?: SamplingOptions;
  readonly maxNewTokens: number;
  readonly seed: number;
  /** What may be drawn: ids that it has a token for. Every row of the model's embedding when left out. */
  readonly tokenizer?: TokenNames;
  /** Ends everything before the next token, with its reason as the error. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes one text for each that is read, token by token. Each draws from a generator of its own, so what it says does not
 * depend on what is written beside it.
 *
 * @throws {SettingsError} naming options that are missing, wrong or unknown; when a text is empty, too long, or holds ids outside the model's vocabulary.
 */
export async function writeTexts(
  model: EncoderDecoder,
  texts: readonly TokenList[],
  options: WritingOptions,
): Promise<WrittenText[]> {
  checkWritingOptions(options);
  refuseOtherLists("text", texts);
  if (texts.length === 0) return [];
  const { sampling: given = {}, maxNewTokens, seed, tokenizer, signal } = options;
  const { decoderStart, padding, endOfText } = model.settings;
  const sampling = samplingOf(given);
  const rules = rulesOf(model, maxNewTokens, tokenizer);
  const writer = new TextWriter(model, texts, 1, rules.limit);
  const rows = texts.map((_, index) => ({
    ...{ tokens: [] as number[], seen: new Set<number>(), ended: false },
    reader: new Random(seed).child(index).reader(),
  }));
  try {
    let next = new Int32Array(texts.length).fill(decoderStart);
    for (let step = 0; step < rules.limit && rows.some(({ ended }) => !ended); step++) {
      signal?.throwIfAborted();
      const logits = rowsOf(await writer.feed(next), texts.length, rules, step);
      next = Int32Array.from(rows, (row, i) => {
        if (row.ended) return padding;
        const token = sampleToken(logits[i] ?? new Float32Array(0), sampling, row.seen, row.reader);
        row.ended = token === endOfText && rules.forced(step) === null;
        if (token !== endOfText) row.tokens.push(token);
        row.seen.add(token);
        return token;
      });
    }
  } finally {
    writer.release();
  }
  return rows.map(({ tokens, ended }) => ({ tokens: Int32Array.from(tokens), ended }));
}

/** How the likeliest text is looked for. */
export interface SearchOptions {
  /** Beginnings kept for each text. */
  readonly beams: number;
  /** A text's log-probability is divided by its length to this power; 0 favours short texts, 1 none. */
  readonly lengthPenalty: number;
  readonly maxNewTokens: number;
  /** As in {@link WritingOptions}. */
  readonly tokenizer?: TokenNames;
  /** As in {@link WritingOptions}. */
  readonly signal?: AbortSignal | undefined;
}

/** A text that a search has found. */
export interface FoundText extends WrittenText {
  /** log-probability / length ^ lengthPenalty. */
  readonly score: number;
}

/**
 * Beam search: for each text that is read, keeps the `beams` likeliest beginnings, and returns the best of the texts that
 * have ended, or have been ended by the limit.
 *
 * @throws {SettingsError} as {@link writeTexts}.
 * @see Wu et al. (2016), section 7, arXiv:1609.08144, for the division by length.
 */
export async function searchTexts(
  model: EncoderDecoder,
  texts: readonly TokenList[],
  options: SearchOptions,
): Promise<FoundText[]> {
  checkSearchOptions(options);
  refuseOtherLists("text", texts);
  if (texts.length === 0) return [];
  const { decoderStart, endOfText, padding } = model.settings;
  const rules = rulesOf(model, options.maxNewTokens, options.tokenizer);
  const writer = new TextWriter(model, texts, options.beams, rules.limit);
  const searches = texts.map(() => new BeamSearch({ ...options, endOfText, padding }));
  try {
    let next = new Int32Array(writer.rows).fill(decoderStart);
    for (let step = 0; step < rules.limit && searches.some(({ isDone }) => !isDone); step++) {
      options.signal?.throwIfAborted();
      const logits = rowsOf(await writer.feed(next), writer.rows, rules, step);
      const moves = searches.map((search, i) =>
        search.advance(logits.slice(i * options.beams, (i + 1) * options.beams), step === rules.limit - 1),
      );
      writer.reorder(
        Int32Array.from(moves.flatMap(({ sources }, i) => sources.map((beam) => i * options.beams + beam))),
      );
      next = Int32Array.from(moves.flatMap(({ tokens }) => tokens));
    }
  } finally {
    writer.release();
  }
  return searches.map((search) => search.best());
}

/** What a model wrote without what every text begins with: what its tokenizer puts there, or the model itself. */
export function withoutStart(
  written: Int32Array,
  { settings }: EncoderDecoder,
  tokenizer: Pick<Tokenizer, "frame">,
): Int32Array {
  const start = settings.firstToken === null ? boundsOf(tokenizer).before : [settings.firstToken];
  return start.every((id, i) => written[i] === id) ? written.subarray(start.length) : written;
}

/** What may be written at which place. */
interface WritingRules {
  /** Most tokens of a text. */
  readonly limit: number;
  /** Ids that are never written. */
  readonly never: readonly number[];
  /** The id that has to stand at a place, from 0; null: any. */
  readonly forced: (step: number) => number | null;
}

function rulesOf(model: EncoderDecoder, maxNewTokens: number, tokenizer: TokenNames | undefined): WritingRules {
  const { vocabularySize, neverWritten, firstToken, lastToken } = model.settings;
  const limit = Math.min(maxNewTokens, model.longestTarget ?? maxNewTokens);
  return {
    limit,
    never: [...spareRows(tokenizer, vocabularySize), ...neverWritten],
    forced: (step) => (step === limit - 1 ? lastToken : null) ?? (step === 0 ? firstToken : null),
  };
}

/** `[rows · vocabularySize]` → one array a row, in which nothing is left to what may not stand at a place. */
function rowsOf(logits: Float32Array, rows: number, rules: WritingRules, step: number): Float32Array[] {
  if (Number.isNaN(logits[0])) {
    throw new NumericalError("generate: the model gives NaN instead of logits; its weights are damaged");
  }
  const width = logits.length / rows;
  const lists = Array.from({ length: rows }, (_, row) => logits.subarray(row * width, (row + 1) * width));
  const forced = rules.forced(step);
  for (const list of lists) {
    neverDraw(list, rules.never);
    if (forced !== null) list.fill(Number.NEGATIVE_INFINITY).fill(0, forced, forced + 1);
  }
  return lists;
}
