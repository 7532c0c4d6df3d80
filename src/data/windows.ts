import { DataError, SettingsError } from "../core/errors.ts";
import type { Draw } from "../core/random.ts";
import { DrawReader, Random } from "../core/random.ts";
import { mixture } from "./mixture.ts";
import { permuted } from "./permutation.ts";
import type { TokenSequence } from "./token-file.ts";

/** Target of a position that is not trained on or counted. Kernels skip every negative id. */
export const ignoredTarget = -100;

/** Token ids of some windows and, for each, the token that follows. */
export interface TokenBatch {
  /** `[batch · time]` */
  readonly inputs: Int32Array;
  /** `[batch · time]`; {@link ignoredTarget} where there is nothing to predict. */
  readonly targets: Int32Array;
  readonly batch: number;
  readonly time: number;
}

/** How the windows of one step are divided among processes and pieces. */
export interface BatchDivision {
  /** Windows of a step, over all ranks and micro-batches. */
  readonly batchSize: number;
  /** Pieces in which a rank's windows go through the model; default 1. */
  readonly microBatches?: number | undefined;
  /** This process among `ranks`, 0-based; default 0 of 1. */
  readonly rank?: number | undefined;
  readonly ranks?: number | undefined;
}

/** Windows of a training text; see {@link trainingWindows}. */
export interface TrainingWindows {
  /** Windows in one pass over all sources. */
  readonly windows: number;
  /** The micro-batches of a 0-based step that one rank trains on. */
  readonly batchAt: (step: number, division: BatchDivision) => TokenBatch[];
}

/** What {@link trainingWindows} draws from. */
export interface WindowSettings {
  readonly sources: readonly { readonly file: TokenSequence; readonly weight: number }[];
  /** Inputs of a window; it is one token longer, because every input needs a target. */
  readonly context: number;
  readonly seed: number;
}

/**
 * Windows to train on, as a pure function of seed, step and division: there is no state, so a run resumed at a step
 * sees what it would have seen.
 *
 * In one epoch of a source every window comes once, in a pseudo-random order ({@link permuted}); windows lie side by
 * side from an offset that is drawn anew for each epoch, so that their borders move and the ends of the text get their
 * turn. Sources are
 * interleaved by weight ({@link mixture}). The windows of a step depend on `batchSize` alone: however many ranks and
 * micro-batches, together they hold the same windows in the same order.
 *
 * @throws {DataError} when a source is shorter than one window.
 * @throws {SettingsError} when the context or a division is not a whole number of windows.
 */
export function trainingWindows({ sources, context, seed }: WindowSettings): TrainingWindows {
  if (!Number.isInteger(context) || context < 1) {
    throw new SettingsError(`context: must be a positive integer, got ${context} (--context)`);
  }
  if (sources.length === 0) throw new SettingsError("data: no source is given; name a text file, folder or glob");
  const starts = sources.map(({ file }, index) => windowStarts(file, context, new Random(seed).child(index)));
  const pick = mixture(sources.map(({ weight }) => weight));
  const window = new Int32Array(context + 1);

  return {
    windows: starts.reduce((sum, { windows }) => sum + windows, 0),
    batchAt: (step, division) => {
      const { first, microBatches, batch } = samplesOf(step, division);
      return Array.from({ length: microBatches }, (_, micro) => {
        const inputs = new Int32Array(batch * context);
        const targets = new Int32Array(batch * context);
        for (let row = 0; row < batch; row++) {
          const { source, index } = pick(first + micro * batch + row);
          sources[source]!.file.read(starts[source]!.startAt(index), window);
          inputs.set(window.subarray(0, context), row * context);
          targets.set(window.subarray(1), row * context);
        }
        return { inputs, targets, batch, time: context };
      });
    },
  };
}

interface WindowStarts {
  /** Windows in an epoch. */
  readonly windows: number;
  /** Where the window drawn as number `index` since the beginning of training starts. */
  readonly startAt: (index: number) => number;
}

function windowStarts(file: TokenSequence, context: number, random: Random): WindowStarts {
  if (file.length < context + 1) {
    throw new DataError(
      `${file.name}: has ${file.length} tokens to train on, one window of context ${context} needs ${context + 1}; ` +
        (file.length > 1 ? `use a context of at most ${file.length - 1} (--context) or more text` : "use more text"),
    );
  }
  // One window less than fits leaves room to move by a context or more, at the same number of windows in every epoch.
  const windows = Math.max(1, Math.floor((file.length - context) / context));
  const offsets = file.length - windows * context;
  let epoch = -1;
  let key: Draw["key"] = [0, 0];
  let offset = 0;
  return {
    windows,
    startAt: (index) => {
      const wanted = Math.floor(index / windows);
      if (wanted !== epoch) {
        epoch = wanted;
        const draw = random.child(epoch).draw();
        key = draw.key;
        offset = new DrawReader(draw).integer(offsets);
      }
      return offset + permuted(key, index % windows, windows) * context;
    },
  };
}

/** The samples of a step that fall to one rank: `microBatches · batch` of them, from `first` on. */
export interface StepSamples {
  /** The rank's first sample, counted from the beginning of training. */
  readonly first: number;
  readonly microBatches: number;
  /** Samples of a micro-batch. */
  readonly batch: number;
}

/**
 * Which samples of the whole training a step takes.
 *
 * @throws {SettingsError} when a division is not a whole number of samples.
 */
export function samplesOf(
  step: number,
  { batchSize, microBatches = 1, rank = 0, ranks = 1 }: BatchDivision,
): StepSamples {
  for (const [name, value] of Object.entries({ "batch size": batchSize, "micro-batches": microBatches, ranks })) {
    if (!Number.isInteger(value) || value < 1)
      throw new SettingsError(`${name}: must be a positive integer, got ${value}`);
  }
  if (!Number.isInteger(rank) || rank < 0 || rank >= ranks) {
    throw new SettingsError(`rank: must be in 0 … ${ranks - 1}, got ${rank}`);
  }
  const batch = batchSize / ranks / microBatches;
  if (!Number.isInteger(batch)) {
    throw new SettingsError(
      `batch size: ${batchSize} windows do not divide into ${microBatches} micro-batches on each of ${ranks} ranks; ` +
        `use a multiple of ${microBatches * ranks}`,
    );
  }
  return { first: step * batchSize + rank * microBatches * batch, microBatches, batch };
}
