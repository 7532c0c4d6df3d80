import { SettingsError } from "../core/errors.ts";
import type { TextSize, TokenFileInfo, TokenSequence } from "./token-file.ts";
import type { TokenBatch } from "./windows.ts";
import { ignoredTarget } from "./windows.ts";

/** A token file, or anything that says as much about its tokens. */
export type EvaluationTokens = TokenSequence & {
  readonly info: TextSize & Pick<TokenFileInfo, "endOfText" | "firstToken">;
};

/** Windows that cover a text once; see {@link evaluationWindows}. */
export interface EvaluationWindows extends TextSize {
  /** Targets in all windows: what the sum of losses is a sum over. */
  readonly predictions: number;
  /** Whether every window of the text is there; if not, `characters` and `bytes` are in proportion to the tokens. */
  readonly complete: boolean;
  /** The windows in order, `batchSize` at a time; the last batch may be smaller. */
  readonly batches: (batchSize: number) => Generator<TokenBatch, void, undefined>;
}

/** What to evaluate on. */
export interface EvaluationSettings {
  readonly files: readonly EvaluationTokens[];
  /** Inputs of a window. */
  readonly context: number;
  /** Most targets wanted; windows are then taken at even distances over each file. Default: all. */
  readonly maxTokens?: number | undefined;
}

/**
 * Windows side by side over held-out text, such that every token is predicted exactly once: the last window of a file
 * is filled up with {@link ignoredTarget}. The first token of a file is predicted from the end-of-text token; where the
 * tokenizer has none it is only read, and its characters are not counted.
 *
 * Bits per character = Σ losses in nats / ln 2 / `characters`, exact for the whole text when `complete`. The losses
 * include those of end-of-text tokens, which a model must predict as well.
 *
 * @throws {SettingsError} when the context or `maxTokens` is not a positive integer.
 */
export function evaluationWindows({ files, context, maxTokens }: EvaluationSettings): EvaluationWindows {
  for (const [name, value] of Object.entries({ context, "evaluation tokens": maxTokens ?? 1 })) {
    if (!Number.isInteger(value) || value < 1)
      throw new SettingsError(`${name}: must be a positive integer, got ${value}`);
  }
  const all = files.map((file) => predictable(file)).reduce((a, b) => a + b, 0);
  const share = maxTokens === undefined ? 1 : Math.min(1, maxTokens / all);
  const parts = files.map((file) => chooseWindows(file, context, share));
  const total = (key: "predictions" | "characters" | "bytes"): number =>
    parts.reduce((sum, part) => sum + part[key], 0);
  return {
    predictions: total("predictions"),
    characters: total("characters"),
    bytes: total("bytes"),
    complete: total("predictions") === all,
    *batches(batchSize) {
      const windows = parts.flatMap(({ file, chosen }) => chosen.map((window) => ({ file, window })));
      for (let first = 0; first < windows.length; first += batchSize) {
        const rows = windows.slice(first, first + batchSize);
        const inputs = new Int32Array(rows.length * context);
        const targets = new Int32Array(rows.length * context).fill(ignoredTarget);
        for (const [row, { file, window }] of rows.entries()) {
          const end = (row + 1) * context;
          fillWindow(file, window, inputs.subarray(row * context, end), targets.subarray(row * context, end));
        }
        yield { inputs, targets, batch: rows.length, time: context };
      }
    },
  };
}

/** Tokens of a file that have something before them. */
function predictable(file: EvaluationTokens): number {
  return file.info.endOfText === null ? file.length - 1 : file.length;
}

interface ChosenWindows extends TextSize {
  readonly file: EvaluationTokens;
  /** Numbers of the windows, counted from the start of the file. */
  readonly chosen: readonly number[];
  readonly predictions: number;
}

function chooseWindows(file: EvaluationTokens, context: number, share: number): ChosenWindows {
  const { info } = file;
  const tokens = predictable(file);
  const windows = Math.ceil(tokens / context);
  const count = share === 1 ? windows : Math.max(1, Math.floor((tokens * share) / context));
  const chosen = Array.from({ length: Math.min(count, windows) }, (_, i) => Math.floor((i * windows) / count));
  const predictions = chosen.reduce((sum, window) => sum + Math.min(context, tokens - window * context), 0);
  const unread = info.endOfText === null ? info.firstToken : { characters: 0, bytes: 0 };
  const part = predictions / Math.max(1, tokens);
  return {
    file,
    chosen,
    predictions,
    characters: (info.characters - unread.characters) * part,
    bytes: (info.bytes - unread.bytes) * part,
  };
}

/** Positions past the end of the file keep input 0 and the ignored target. */
function fillWindow(file: EvaluationTokens, window: number, inputs: Int32Array, targets: Int32Array): void {
  const context = inputs.length;
  const { endOfText } = file.info;
  const start = window * context + (endOfText === null ? 1 : 0); // index of the first target
  const count = Math.min(context, file.length - start);
  file.read(start, targets.subarray(0, count));
  if (start > 0) file.read(start - 1, inputs.subarray(0, count));
  else {
    inputs[0] = endOfText ?? 0;
    file.read(0, inputs.subarray(1, count));
  }
}
