import { DataError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import type { ChatEncoder, EncodedChat } from "../text/encode-chat.ts";
import { BadRows } from "./bad-rows.ts";
import type { Conversation } from "./conversations.ts";
import { epochOrder } from "./epochs.ts";
import type { TokenBatch } from "./windows.ts";
import { ignoredTarget } from "./windows.ts";

/** Texts side by side in rows, each as if it were alone. */
export interface Packing {
  /** `[batch · time]`: place of each token in its own text. */
  readonly positions: Int32Array;
  /** `[batch · time]`: place in the row where each token's own text starts. */
  readonly firstKeys: Int32Array;
}

/** A batch whose rows may hold several texts. */
export interface PackedBatch extends TokenBatch {
  readonly packing?: Packing;
  /** Targets that are trained on. */
  readonly trained: number;
}

/** What to do with a conversation that is longer than the model's context. */
export type LongRows = "error" | "skip" | "truncate";

/** One row of a batch, without padding. All arrays have its length. */
export interface ChatRow {
  readonly inputs: Int32Array;
  /** The token that follows where the assistant says it, {@link ignoredTarget} elsewhere. */
  readonly targets: Int32Array;
  readonly positions: Int32Array;
  readonly firstKeys: Int32Array;
  readonly trained: number;
}

/** A conversation in token ids. */
export interface EncodedConversation extends EncodedChat {
  /** How messages name it. */
  readonly where: string;
  /** Tokens of its row: all but the last, which is a target only. */
  readonly length: number;
}

/** Rows to train on, and what became of the others. */
export interface ChatRows {
  readonly rows: readonly ChatRow[];
  /** Conversations left out as longer than the context. */
  readonly tooLong: number;
  /** Conversations left out because nothing in them is to be learnt, such as those whose answers were cut off. */
  readonly unlearnt: number;
}

/**
 * Conversations in token ids.
 *
 * @param bad - What is done with a conversation that the template refuses.
 * @throws {DataError} naming its row of the file.
 */
export async function encodeConversations(
  conversations: readonly Conversation[],
  encoder: ChatEncoder,
  bad = new BadRows(),
): Promise<EncodedConversation[]> {
  const encoded: EncodedConversation[] = [];
  for (const conversation of conversations) {
    await turnEventLoopWhenDue();
    const ids = bad.attempt(() => encodeRow(conversation, encoder));
    if (ids) encoded.push({ ...ids, where: conversation.where, length: Math.max(0, ids.ids.length - 1) });
  }
  bad.refuseNone(encoded.length);
  return encoded;
}

/**
 * Rows of the conversations, one each.
 *
 * @throws {DataError} naming the row of the file, when it is longer than the context and `longRows` is `error`; or when
 * none is left.
 */
export function chatRows(conversations: readonly EncodedConversation[], context: number, longRows: LongRows): ChatRows {
  let [tooLong, unlearnt] = [0, 0];
  const rows = conversations.flatMap((conversation) => {
    const isLong = conversation.length > context;
    if (isLong && longRows === "error") throw longError(conversation, context);
    if (isLong && longRows === "skip") {
      tooLong += 1;
      return [];
    }
    const row = rowOf(isLong ? cut(conversation, context) : conversation);
    if (row.trained > 0) return [row];
    unlearnt += 1;
    return [];
  });
  if (rows.length === 0) {
    throw new DataError(
      `data: none of ${conversations.length} conversations fits a context of ${context} tokens; use a larger context`,
    );
  }
  return { rows, tooLong, unlearnt };
}

/** As {@link ChatEncoder.encode}, with errors that name the row of the file. */
export function encodeRow({ where, messages, variables }: Conversation, encoder: ChatEncoder): EncodedChat {
  try {
    return encoder.encode(messages, variables);
  } catch (error) {
    if (error instanceof DataError) throw new DataError(`${where}: ${error.message}`, { cause: error });
    throw error;
  }
}

function longError({ where, length }: EncodedConversation, context: number): DataError {
  return new DataError(
    `${where}: the conversation has ${length} tokens, the context is ${context}; shorten it, raise --context where the ` +
      "model reads more, or use --long-rows skip or truncate",
  );
}

function cut({ ids, isAnswer }: EncodedChat, context: number): EncodedChat {
  return { ids: ids.subarray(0, context + 1), isAnswer: isAnswer.subarray(0, context + 1) };
}

function rowOf({ ids, isAnswer }: EncodedChat): ChatRow {
  const inputs = ids.slice(0, -1);
  const targets = inputs.map((_, i) => (isAnswer[i + 1] ? (ids[i + 1] ?? ignoredTarget) : ignoredTarget));
  const trained = targets.reduce((count, target) => count + (target >= 0 ? 1 : 0), 0);
  return { inputs, targets, trained, positions: inputs.map((_, i) => i), firstKeys: new Int32Array(inputs.length) };
}

/**
 * Puts several conversations into each row of at most `context` tokens, the longest first and each into the fullest row
 * that has room for it (best fit, decreasing). Positions start anew with each, and none sees another.
 *
 * @see Ding et al. (2024), "Fewer truncations improve language modeling", arXiv:2404.10830.
 */
export function packRows(rows: readonly ChatRow[], context: number): ChatRow[] {
  /** Unfinished bins by the room that is left. */
  const bins: ChatRow[][][] = Array.from({ length: context + 1 }, () => []);
  for (const row of rows.toSorted((a, b) => b.inputs.length - a.inputs.length)) {
    let room = row.inputs.length;
    while (room <= context && bins[room]?.length === 0) room += 1;
    const bin = bins[room]?.pop() ?? [];
    bin.push(row);
    bins[Math.min(room, context) - row.inputs.length]?.push(bin);
  }
  return bins.flat().map(joinRows);
}

function joinRows(rows: readonly ChatRow[]): ChatRow {
  const length = rows.reduce((sum, { inputs }) => sum + inputs.length, 0);
  const blank = (): Int32Array => new Int32Array(length);
  const out = { inputs: blank(), targets: blank(), positions: blank(), firstKeys: blank() };
  let at = 0;
  for (const row of rows) {
    for (const part of ["inputs", "targets", "positions"] as const) out[part].set(row[part], at);
    out.firstKeys.fill(at, at, at + row.inputs.length);
    at += row.inputs.length;
  }
  return { ...out, trained: rows.reduce((sum, { trained }) => sum + trained, 0) };
}

/** How the rows of a step are chosen and divided. */
export interface RowBatchSettings {
  /** Rows that go through the model in one piece. */
  readonly batchSize: number;
  /** Pieces of a step. */
  readonly microBatches: number;
  readonly seed: number;
}

/** The micro-batches of a 0-based step: every row once an epoch, in an order drawn anew for each. */
export function rowBatches(rows: readonly ChatRow[], settings: RowBatchSettings): (step: number) => PackedBatch[] {
  const { batchSize, microBatches, seed } = settings;
  const order = epochOrder(seed, rows.length);
  return (step) =>
    Array.from({ length: microBatches }, (_, micro) => {
      const first = (step * microBatches + micro) * batchSize;
      return batchOf(Array.from({ length: batchSize }, (_row, i) => rows[order(first + i)]!));
    });
}

/** Rows in one block, filled up behind with positions that are not trained on. */
export function batchOf(rows: readonly ChatRow[]): PackedBatch {
  const time = rows.reduce((longest, { inputs }) => Math.max(longest, inputs.length), 1);
  const [inputs, positions, firstKeys] = [0, 0, 0].map(() => new Int32Array(rows.length * time)) as [
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  const targets = new Int32Array(rows.length * time).fill(ignoredTarget);
  for (const [i, row] of rows.entries()) {
    inputs.set(row.inputs, i * time);
    targets.set(row.targets, i * time);
    positions.set(row.positions, i * time);
    firstKeys.set(row.firstKeys, i * time);
  }
  const trained = rows.reduce((sum, row) => sum + row.trained, 0);
  const isPacked = firstKeys.some((key) => key > 0);
  return {
    inputs,
    targets,
    batch: rows.length,
    time,
    trained,
    ...(isPacked ? { packing: { positions, firstKeys } } : {}),
  };
}
