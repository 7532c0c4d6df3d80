import type { BatchDivision, TokenBatch, WindowSettings } from "./windows.ts";
import { trainingWindows } from "./windows.ts";

/** Windows of one step, each the continuation of the one in the same row of the step before. */
export interface ContinuedBatch extends TokenBatch {
  /** Which of the step's micro-batches it is, 0-based. */
  readonly part: number;
  /** Whether the rows begin anew, in another place of the text. */
  readonly begins: boolean;
}

/** Batches of a text; see {@link continuedWindows}. */
export interface ContinuedWindows {
  /** Windows in one pass over all sources. */
  readonly windows: number;
  readonly batchAt: (step: number, division: BatchDivision) => ContinuedBatch[];
}

/** What {@link continuedWindows} draws from. */
export interface ContinuedWindowSettings extends WindowSettings {
  /** Windows that follow each other in a row before it begins anew: a stretch. */
  readonly stretch: number;
}

/** Longest stretch: beyond some ten thousand tokens nothing is remembered that would be worth carrying on. */
const longestStretch = 64;

/** The stretch for texts, the shortest of `tokens` tokens, that are read in so many rows side by side. */
export function stretchFor(tokens: number, context: number, rows: number): number {
  return Math.min(longestStretch, Math.max(1, Math.floor(tokens / (context * (rows + 1)))));
}

/**
 * Windows that go on from step to step, for models that carry a state: the windows of {@link trainingWindows} of
 * `stretch` times the context, read one context a step. So they are a function of seed and step as well, and every part
 * of the text gets its turn; what was known at the end of the step before is not, and belongs into a checkpoint.
 *
 * @throws {DataError} when a source is shorter than one stretch.
 * @see Mikolov et al. (2010), "Recurrent neural network based language model": truncated backpropagation through time.
 */
export function continuedWindows({ context, stretch, ...settings }: ContinuedWindowSettings): ContinuedWindows {
  const stretches = trainingWindows({ ...settings, context: stretch * context });
  const wholeAt = remembering(stretches.batchAt);
  return {
    windows: stretches.windows * stretch,
    batchAt: (step, division) => {
      const place = step % stretch;
      return wholeAt(Math.floor(step / stretch), division).map((whole, part) => {
        return { ...columnsOf(whole, place * context, context), part, begins: place === 0 };
      });
    },
  };
}

/** The same batches; those that were asked for last are not read again. */
function remembering<Batch>(
  batchAt: (step: number, division: BatchDivision) => Batch[],
): (step: number, division: BatchDivision) => Batch[] {
  let last: { readonly key: string; readonly batches: Batch[] } | null = null;
  return (step, division) => {
    const key = JSON.stringify([step, division]);
    if (last?.key !== key) last = { key, batches: batchAt(step, division) };
    return last.batches;
  };
}

/** The windows that start at one column of a batch. */
export function columnsOf({ inputs, targets, batch, time }: TokenBatch, start: number, context: number): TokenBatch {
  const cut = (ids: Int32Array): Int32Array => {
    const columns = new Int32Array(batch * context);
    for (let row = 0; row < batch; row++) {
      columns.set(ids.subarray(row * time + start, row * time + start + context), row * context);
    }
    return columns;
  };
  return { inputs: cut(inputs), targets: cut(targets), batch, time: context };
}
