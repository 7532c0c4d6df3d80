import { DataError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import { mostOf } from "../core/most-of.ts";
import type { SequenceTemplate } from "../text/sequence-template.ts";
import type { FramedIds, Tokenizer } from "../text/tokenizer.ts";
import type { PaddedBatch } from "./padded-batch.ts";
import { paddedBatch } from "./padded-batch.ts";
import type { TaskExample } from "./task-examples.ts";

/** A task's row as a model reads it. */
export interface EncodedExample {
  readonly where: string;
  readonly inputs: readonly FramedIds[];
  /** Class, score or index of the right answer; NaN where it is not known. */
  readonly target: number;
}

/** How texts become the inputs of a model. */
export interface TaskEncoding {
  readonly tokenizer: Tokenizer;
  /** Special tokens around a text and between the two of a pair. */
  readonly template: Pick<SequenceTemplate, "frame">;
  /** Longest input, special tokens included. */
  readonly context: number;
  /** What happens to a longer one: an error, the example is left out, or its longer text is cut at the end. */
  readonly longRows: "error" | "skip" | "truncate";
}

/** Encoded rows, and what had to be done to long ones. */
export interface EncodedExamples {
  readonly examples: readonly EncodedExample[];
  readonly skipped: number;
  readonly truncated: number;
  /** Tokens of the longest input, whether it fits or not. */
  readonly longest: number;
}

/**
 * Encodes a task's rows.
 *
 * @param targetOf - What the model shall say of a row: the number of its class, for example.
 * @throws {DataError} naming a row that is longer than the context, where that is an error, or when nothing is left.
 * @throws {unknown} the reason of `signal` when that is aborted between two rows.
 */
export async function encodeExamples(
  rows: readonly TaskExample[],
  encoding: TaskEncoding,
  targetOf: (row: TaskExample) => number,
  signal?: AbortSignal,
): Promise<EncodedExamples> {
  const { template, context, longRows } = encoding;
  const examples: EncodedExample[] = [];
  let [skipped, truncated, longestOfAll] = [0, 0, 0];
  for (const row of rows) {
    await turnEventLoopWhenDue();
    signal?.throwIfAborted();
    const texts = row.inputs.map((input) => input.map((text) => encodeText(encoding.tokenizer, text)));
    const inputs = texts.map(([first = new Int32Array(0), second]) => template.frame(first, second));
    const longest = mostOf(inputs, ({ ids }) => ids.length);
    longestOfAll = Math.max(longestOfAll, longest);
    if (longest <= context) examples.push({ where: row.where, inputs, target: targetOf(row) });
    else if (longRows === "error") {
      throw new DataError(
        `${row.where}: has ${longest} tokens with those that frame it, the context is ${context}; shorten it, raise --context where ` +
          "the model reads more, or choose --long-rows truncate or skip",
      );
    } else if (longRows === "skip") skipped += 1;
    else {
      truncated += 1;
      const cut = texts.map((pair) => template.frame(...cutTo(pair, template, context)));
      examples.push({ where: row.where, inputs: cut, target: targetOf(row) });
    }
  }
  if (examples.length > 0 || rows.length === 0) return { examples, skipped, truncated, longest: longestOfAll };
  const all = rows.length === 1 ? "the only row is" : `all ${rows.length} rows are`;
  throw new DataError(
    `${rows[0]?.where}: ${all} longer than the context of ${context} tokens; shorten them, or choose --long-rows truncate`,
  );
}

/** Text of strangers cannot forge the tokens that frame it. */
function encodeText(tokenizer: Tokenizer, text: string): Int32Array {
  return tokenizer.encode(text, { recognizeSpecialTokens: false });
}

/** The starts of one text or two that fit together; the longer one is cut first. */
function cutTo(
  [first = new Int32Array(0), second]: readonly Int32Array[],
  template: TaskEncoding["template"],
  context: number,
): [Int32Array, Int32Array?] {
  const frame = template.frame(new Int32Array(0), second && new Int32Array(0)).ids.length;
  const room = Math.max(context - frame, 0);
  if (!second) return [first.subarray(0, room)];
  const shorter = Math.min(first.length, second.length, Math.floor(room / 2));
  const most = room - shorter;
  const ofFirst =
    first.length <= second.length
      ? Math.min(first.length, room - Math.min(second.length, most))
      : Math.min(first.length, most);
  return [first.subarray(0, ofFirst), second.subarray(0, room - ofFirst)];
}

/** Examples side by side, ready for a model: all their inputs are rows of one block. */
export interface TaskBatch extends PaddedBatch {
  /** `[batch · time]`: segment of each token. */
  readonly typeIds: Int32Array;
  /** Inputs of each example, `[examples]`: they are rows behind each other. */
  readonly inputCounts: Int32Array;
  /** `[examples]` */
  readonly targets: Float32Array;
}

/** Puts examples into one block. */
export function taskBatch(examples: readonly EncodedExample[]): TaskBatch {
  const inputs = examples.flatMap((example) => example.inputs);
  return {
    ...paddedBatch(inputs.map(({ ids }) => ids)),
    typeIds: paddedBatch(inputs.map(({ typeIds }) => typeIds)).ids,
    inputCounts: Int32Array.from(examples, (example) => example.inputs.length),
    targets: Float32Array.from(examples, ({ target }) => target),
  };
}
