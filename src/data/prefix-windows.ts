import { SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { BatchDivision, TokenBatch, WindowSettings } from "./windows.ts";
import { ignoredTarget, samplesOf, trainingWindows } from "./windows.ts";

/** Windows of which a first part is read at once, and only the rest is predicted. */
export interface PrefixBatch extends TokenBatch {
  /** `[batch]`: leading tokens that all see each other. */
  readonly prefixLengths: Int32Array;
}

/** Batches of a text; see {@link prefixWindows}. */
export interface PrefixWindows {
  /** Windows in one pass over all sources. */
  readonly windows: number;
  readonly batchAt: (step: number, division: BatchDivision) => PrefixBatch[];
}

/**
 * The windows of {@link trainingWindows}, each with a prefix of random length, from 1 token to all but one: what a prefix
 * language model is trained on. The last token of a prefix predicts the first one after it.
 *
 * @throws {DataError} when the text is shorter than a window.
 * @throws {SettingsError} when the context has no room for a prefix and something after it.
 * @see Raffel et al. (2020), section 3.2.1, arXiv:1910.10683; Liu et al. (2018), arXiv:1801.10198.
 */
export function prefixWindows(settings: WindowSettings): PrefixWindows {
  const { context, seed } = settings;
  const { windows, batchAt } = trainingWindows(settings);
  if (context < 2) throw new SettingsError(`context: ${context} has no room for a prefix and more (--context)`);
  const readers = new Random(seed).child(0x70726566);
  return {
    windows,
    batchAt: (step, division) => {
      let sample = samplesOf(step, division).first;
      return batchAt(step, division).map((tokens) => {
        const lengths = Array.from({ length: tokens.batch }, () => {
          return (
            1 +
            readers
              .child(sample++)
              .reader()
              .integer(context - 1)
          );
        });
        const prefixLengths = Int32Array.from(lengths);
        const targets = tokens.targets.map((target, i) =>
          (i % context) + 1 < (prefixLengths[Math.floor(i / context)] ?? 0) ? ignoredTarget : target,
        );
        return { ...tokens, targets, prefixLengths };
      });
    },
  };
}
