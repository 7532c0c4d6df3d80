import { DataError, SettingsError } from "../core/errors.ts";
import type { DrawReader } from "../core/random.ts";
import { Random } from "../core/random.ts";
import type { BatchDivision, TokenBatch, WindowSettings } from "./windows.ts";
import { ignoredTarget, samplesOf, trainingWindows } from "./windows.ts";

/** Sequences of one or two segments with some of their words hidden. */
export interface MaskedBatch extends TokenBatch {
  /** `[batch · time]`: 0 in the first segment, 1 in the second. */
  readonly segments: Int32Array;
  /** `[batch]`: tokens of each sequence that are not padding. */
  readonly lengths: Int32Array;
  /** `[batch]`: 0 where the second segment follows the first in its text, 1 where it does not; null without pairs. */
  readonly relationships: Int32Array | null;
}

/** Ids that have a part of their own to play. */
export interface MaskingTokens {
  /** Stands before every sequence. */
  readonly classification: number;
  /** Ends every segment. */
  readonly separator: number;
  /** Stands for a hidden token. */
  readonly mask: number;
  readonly padding: number;
  /** Token after every document, or null where there is none. */
  readonly endOfText: number | null;
  /** Ids that are no text: never hidden, never put in the place of another token. */
  readonly special: ReadonlySet<number>;
  readonly vocabularySize: number;
  /** Whether a token goes on with the word before it. */
  readonly isContinuation: (id: number) => boolean;
}

/** How words are hidden. */
export interface MaskingSettings {
  /** Share of the ordinary tokens that a model has to name; 0.15 in the paper. */
  readonly rate: number;
  /** Chooses words with all their pieces. */
  readonly wholeWords: boolean;
}

/** What {@link maskedWindows} draws from. */
export interface MaskedWindowSettings extends WindowSettings, MaskingSettings {
  readonly tokens: MaskingTokens;
  /** Two segments, of which the second follows the first or, in half of the sequences, does not. */
  readonly pairs: boolean;
}

/** Batches of a text; see {@link maskedWindows}. */
export interface MaskedWindows {
  /** Sequences in one pass over all sources. */
  readonly windows: number;
  readonly batchAt: (step: number, division: BatchDivision) => MaskedBatch[];
}

/**
 * Hides words: of the chosen tokens 80 % become the mask, 10 % another token and 10 % stay what they are.
 *
 * @returns the sequence as the model sees it, and the chosen tokens as targets.
 * @see Devlin et al. (2019), section 3.1 and appendix A.1.
 */
export function maskWords(
  ids: Int32Array,
  reader: DrawReader,
  tokens: MaskingTokens,
  settings: MaskingSettings,
): Pick<TokenBatch, "inputs" | "targets"> {
  const inputs = ids.slice();
  const targets = new Int32Array(ids.length).fill(ignoredTarget);
  for (const at of chosenTokens(ids, reader, tokens, settings)) {
    targets[at] = ids[at]!;
    const lot = reader.uniform();
    if (lot < 0.8) inputs[at] = tokens.mask;
    else if (lot < 0.9) inputs[at] = anyToken(reader, tokens);
  }
  return { inputs, targets };
}

function anyToken(reader: DrawReader, { special, vocabularySize }: MaskingTokens): number {
  for (;;) {
    const id = reader.integer(vocabularySize);
    if (!special.has(id)) return id;
  }
}

/** Places of the tokens to hide, whole words together: as many as the rate asks for, one at least. */
function chosenTokens(
  ids: Int32Array,
  reader: DrawReader,
  tokens: MaskingTokens,
  { rate, wholeWords }: MaskingSettings,
): number[] {
  const words: number[][] = [];
  for (const [at, id] of ids.entries()) {
    if (tokens.special.has(id)) continue;
    const word = words.at(-1);
    if (wholeWords && word?.at(-1) === at - 1 && tokens.isContinuation(id)) word.push(at);
    else words.push([at]);
  }
  const wanted = Math.max(1, Math.round(rate * words.flat().length));
  const chosen: number[] = [];
  for (let left = words.length; left > 0 && chosen.length < wanted; left--) {
    const lot = reader.integer(left);
    const word = words[lot]!;
    words[lot] = words[left - 1]!;
    if (chosen.length + word.length <= wanted || chosen.length === 0) chosen.push(...word);
  }
  return chosen;
}

/**
 * Sequences of masked words, as a pure function of seed, step and division, drawn as {@link trainingWindows} draws its
 * windows: `[CLS] text [SEP]`, or `[CLS] A [SEP] B [SEP]` with B the continuation of A in half of the sequences, and a
 * stretch from another place in the others. A segment ends where its document does. Words are hidden anew in each epoch.
 *
 * @throws {DataError} when the text is too short for one window, or for a pair.
 * @throws {SettingsError} when the context has no room for text.
 */
export function maskedWindows(settings: MaskedWindowSettings): MaskedWindows {
  const { context, tokens, pairs, seed } = settings;
  const text = context - (pairs ? 3 : 2);
  if (text < 2)
    throw new SettingsError(`context: ${context} has no room for text beside the special tokens (--context)`);
  const windows = trainingWindows({ ...settings, context: text });
  if (pairs && windows.windows < 2) {
    throw new DataError(
      `next-sentence prediction: the text is one window of ${text} tokens, so there is no other place to take a second ` +
        "segment from; use more text or a smaller context (--context)",
    );
  }
  const windowAt = (sample: number): Int32Array =>
    windows.batchAt(sample, { batchSize: 1 })[0]?.inputs ?? new Int32Array(0);
  const readers = new Random(seed).child(0x6d61736b);
  const sequenceAt = (sample: number): Sequence => {
    const reader = readers.child(sample).reader();
    const first = windowAt(sample);
    const segments = pairs
      ? pairOf(first, (attempt) => windowAt(sample + attempt), reader, tokens)
      : { first, second: null, label: 0 };
    return sequenceOf(segments, reader, settings);
  };
  return {
    windows: windows.windows,
    batchAt: (step, division) => {
      const { first, microBatches, batch } = samplesOf(step, division);
      return Array.from({ length: microBatches }, (_, micro) => {
        const sequences = Array.from({ length: batch }, (_row, row) => sequenceAt(first + micro * batch + row));
        return batchOf(sequences, settings);
      });
    },
  };
}

interface Segments {
  readonly first: Int32Array;
  readonly second: Int32Array | null;
  /** 0 where the second follows the first. */
  readonly label: number;
}

/** Places that are looked at for a second segment that does not follow the first. */
const attempts = 8;

/**
 * Two stretches of text on both sides of a place within a document, the second replaced half of the time. Another place
 * may say the same: where an epoch ends it may even be the same place. If none says anything else, the pair is a true one.
 */
function pairOf(
  text: Int32Array,
  elsewhere: (attempt: number) => Int32Array,
  reader: DrawReader,
  tokens: MaskingTokens,
): Segments {
  const { endOfText } = tokens;
  const isWithin = (at: number): boolean => text[at - 1] !== endOfText && text[at] !== endOfText;
  const places = Array.from({ length: text.length - 1 }, (_, i) => i + 1).filter(isWithin);
  const label = reader.integer(2);
  if (places.length === 0) {
    throw new DataError(
      "next-sentence prediction: a stretch of the text has documents of one token only, which no two segments can be " +
        "taken from; use longer documents, or train without pairs (--no-next-sentence)",
    );
  }
  const split = places[reader.integer(places.length)]!;
  const start = endOfText === null ? 0 : text.lastIndexOf(endOfText, split - 1) + 1;
  const first = text.subarray(start, split);
  const follows = segmentFrom(text, split, endOfText);
  for (let attempt = 1; label === 1 && attempt <= attempts; attempt++) {
    const second = segmentFrom(elsewhere(attempt), split, endOfText);
    if (!beginAlike(second, follows)) return { first, second, label };
  }
  return { first, second: follows, label: 0 };
}

/** Text from a place on to the end of its document. */
function segmentFrom(text: Int32Array, place: number, endOfText: number | null): Int32Array {
  let from = place;
  while (from < text.length - 1 && text[from] === endOfText) from++;
  const end = endOfText === null ? -1 : text.indexOf(endOfText, from);
  return text.subarray(from, end < from ? text.length : end);
}

/** Whether two segments are the same as far as the shorter goes. */
function beginAlike(a: Int32Array, b: Int32Array): boolean {
  const length = Math.min(a.length, b.length);
  return a.subarray(0, length).every((id, i) => id === b[i]);
}

interface Sequence extends Pick<TokenBatch, "inputs" | "targets"> {
  readonly segments: Int32Array;
  readonly label: number;
}

function sequenceOf({ first, second, label }: Segments, reader: DrawReader, settings: MaskedWindowSettings): Sequence {
  const { tokens } = settings;
  const opening = [tokens.classification, ...first, tokens.separator];
  const closing = second ? [...second, tokens.separator] : [];
  const masked = maskWords(Int32Array.from([...opening, ...closing]), reader, tokens, settings);
  const segments = new Int32Array(masked.inputs.length).fill(1, opening.length);
  return { ...masked, segments, label };
}

function batchOf(sequences: readonly Sequence[], { context, tokens, pairs }: MaskedWindowSettings): MaskedBatch {
  const size = sequences.length * context;
  const inputs = new Int32Array(size).fill(tokens.padding);
  const targets = new Int32Array(size).fill(ignoredTarget);
  const segments = new Int32Array(size);
  for (const [row, sequence] of sequences.entries()) {
    inputs.set(sequence.inputs, row * context);
    targets.set(sequence.targets, row * context);
    segments.set(sequence.segments, row * context);
  }
  const lengths = Int32Array.from(sequences, (sequence) => sequence.inputs.length);
  const relationships = pairs ? Int32Array.from(sequences, ({ label }) => label) : null;
  return { inputs, targets, segments, lengths, relationships, batch: sequences.length, time: context };
}
