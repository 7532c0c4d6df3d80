import { SettingsError } from "../core/errors.ts";
import type { DrawReader } from "../core/random.ts";
import { Random } from "../core/random.ts";
import type { BatchDivision, WindowSettings } from "./windows.ts";
import { samplesOf, trainingWindows } from "./windows.ts";

/** Texts and what is to be made of each, side by side. */
export interface TextPairs {
  readonly batch: number;
  /** `[batch · time]` */
  readonly inputs: Int32Array;
  readonly time: number;
  /** `[batch]`: tokens of each input that are not padding. */
  readonly lengths: Int32Array;
  /** `[batch · targetTime]`: what the decoder writes; `ignoredTarget` behind its end. */
  readonly targets: Int32Array;
  readonly targetTime: number;
}

/** How much is taken out of a text. */
export interface CorruptionSettings {
  /** Share of the tokens; 0.15 in the paper. */
  readonly density: number;
  /** Mean length of the stretches, in tokens; 3 in the paper. */
  readonly meanSpan: number;
}

/** Ids that have a part of their own to play. */
export interface CorruptionTokens {
  /** What stands for the 0th, 1st, … stretch that was taken out. */
  readonly sentinels: readonly number[];
  /** Ends inputs and targets. */
  readonly endOfText: number;
}

/** What {@link corruptedWindows} draws from; `context` counts the tokens of an input, its end included. */
export interface CorruptedWindowSettings extends WindowSettings, CorruptionSettings {
  readonly tokens: CorruptionTokens;
}

/** Batches of a text; see {@link corruptedWindows}. */
export interface CorruptedWindows {
  /** Texts in one pass over all sources. */
  readonly windows: number;
  /** Tokens of a target. */
  readonly targetTime: number;
  readonly batchAt: (step: number, division: BatchDivision) => TextPairs[];
}

/** How many tokens a text of `length` loses, in how many stretches: at least one, and at least one stays. */
export function corruptionSize(length: number, settings: CorruptionSettings): { noise: number; spans: number } {
  const noise = Math.min(Math.max(Math.round(length * settings.density), 1), length - 1);
  const spans = Math.max(Math.round(noise / settings.meanSpan), 1);
  return { noise, spans: Math.min(spans, noise, length - noise) };
}

/**
 * Takes stretches out of a text: the input has a sentinel in the place of each, the target each sentinel followed by
 * what stood there. Texts of one length give inputs and targets of one length. A stretch never stands at the beginning.
 *
 * @throws {SettingsError} when there are fewer sentinels than stretches.
 * @see Raffel et al. (2020), section 3.1.4 and figure 2, arXiv:1910.10683.
 */
export function corruptSpans(
  ids: Int32Array,
  reader: DrawReader,
  { sentinels, endOfText }: CorruptionTokens,
  settings: CorruptionSettings,
): { input: Int32Array; target: Int32Array } {
  const { noise, spans } = corruptionSize(ids.length, settings);
  if (spans > sentinels.length) {
    throw new SettingsError(
      `span corruption: a text of ${ids.length} tokens loses ${spans} stretches, the tokenizer has ${sentinels.length} ` +
        "sentinels; use a smaller context (--context), or a tokenizer with more sentinels",
    );
  }
  const taken = partition(noise, spans, reader);
  const kept = partition(ids.length - noise, spans, reader);
  const [input, target]: [number[], number[]] = [[], []];
  let at = 0;
  for (let span = 0; span < spans; span++) {
    const sentinel = sentinels[span]!;
    const border = at + kept[span]!;
    const end = border + taken[span]!;
    input.push(...ids.subarray(at, border), sentinel);
    target.push(sentinel, ...ids.subarray(border, end));
    at = end;
  }
  return { input: Int32Array.from([...input, endOfText]), target: Int32Array.from([...target, endOfText]) };
}

/** `total` as a sum of `parts` positive numbers, all such sums equally likely. */
function partition(total: number, parts: number, reader: DrawReader): number[] {
  // A random choice of parts − 1 of the total − 1 places between neighbours (selection sampling).
  const sizes: number[] = [];
  let [start, left] = [0, parts - 1];
  for (let place = 1; place < total && left > 0; place++) {
    if (reader.integer(total - place) >= left) continue;
    sizes.push(place - start);
    [start, left] = [place, left - 1];
  }
  return [...sizes, total - start];
}

/**
 * Corrupted texts as a pure function of seed, step and division, drawn as {@link trainingWindows} draws its windows; what
 * is taken out is drawn anew in each epoch. Every input has `context` tokens and every target the same length, so
 * nothing is padded.
 *
 * @throws {DataError} when the text is too short.
 * @throws {SettingsError} when the context has no room, or there are too few sentinels.
 */
export function corruptedWindows(settings: CorruptedWindowSettings): CorruptedWindows {
  const { tokens, seed, context } = settings;
  const length = textLength(settings);
  const windows = trainingWindows({ ...settings, context: length });
  const { noise, spans } = corruptionSize(length, settings);
  const [time, targetTime] = [length - noise + spans + 1, noise + spans + 1];
  if (spans > tokens.sentinels.length) corruptSpans(new Int32Array(length), new Random(0).reader(), tokens, settings);
  const readers = new Random(seed).child(0x7370616e);
  return {
    windows: windows.windows,
    targetTime,
    batchAt: (step, division) => {
      const { first } = samplesOf(step, division);
      let sample = first;
      return windows.batchAt(step, division).map((texts) => {
        const { batch } = texts;
        const inputs = new Int32Array(batch * context);
        const targets = new Int32Array(batch * targetTime);
        for (let row = 0; row < batch; row++) {
          const ids = texts.inputs.subarray(row * length, (row + 1) * length);
          const { input, target } = corruptSpans(ids, readers.child(sample++).reader(), tokens, settings);
          inputs.set(input, row * context);
          targets.set(target, row * targetTime);
        }
        return { batch, inputs, time: context, lengths: new Int32Array(batch).fill(time), targets, targetTime };
      });
    },
  };
}

/** The longest text whose input has at most `context` tokens. */
function textLength({ context, ...settings }: CorruptedWindowSettings): number {
  const inputOf = (length: number): number => {
    const { noise, spans } = corruptionSize(length, settings);
    return length - noise + spans + 1;
  };
  if (!(context >= inputOf(2))) {
    throw new SettingsError(`context: ${context} has no room for a text with a part taken out (--context)`);
  }
  let length = 2;
  while (inputOf(length + 1) <= context) length++;
  return length;
}
