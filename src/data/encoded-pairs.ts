import { DataError } from "../core/errors.ts";
import { wholeText } from "../text/text-bounds.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { paddedBatch } from "./padded-batch.ts";
import type { TextPairs } from "./span-corruption.ts";
import type { TextPairRow } from "./text-pair-rows.ts";
import { ignoredTarget } from "./windows.ts";

/** A pair as tokens, with what surrounds the texts. */
export interface EncodedPair {
  readonly source: Int32Array;
  readonly target: Int32Array;
}

/** How pairs become tokens. */
export interface PairEncoding {
  readonly tokenizer: Tokenizer;
  readonly endOfText: number | null;
  /** Put before each text that is read. */
  readonly prefix: string;
  /** Most tokens of a text that is read, and of one that is written. */
  readonly most: readonly [source: number, target: number];
  readonly longRows: "error" | "skip" | "truncate";
}

/** Pairs as tokens, and what became of long ones. */
export interface EncodedPairs {
  readonly pairs: readonly EncodedPair[];
  readonly rows: readonly TextPairRow[];
  readonly skipped: number;
  readonly truncated: number;
  /** Tokens of the longest text. */
  readonly longest: number;
}

/**
 * Encodes rows of pairs; a text is cut before its end token.
 *
 * @throws {DataError} naming the row, when one is too long and that is an error.
 */
export function encodePairs(rows: readonly TextPairRow[], encoding: PairEncoding): EncodedPairs {
  const { tokenizer, endOfText, prefix, most, longRows } = encoding;
  const kept: { row: TextPairRow; pair: EncodedPair }[] = [];
  let [skipped, truncated, longest] = [0, 0, 0];
  for (const row of rows) {
    const source = wholeText(tokenizer, tokenizer.encode(prefix + row.source), endOfText);
    const target = wholeText(tokenizer, (tokenizer.target ?? tokenizer).encode(row.target), endOfText);
    longest = Math.max(longest, source.length, target.length);
    if (source.length <= most[0] && target.length <= most[1]) {
      kept.push({ row, pair: { source, target } });
      continue;
    }
    if (longRows === "error") {
      throw new DataError(
        `${row.where}: has ${source.length} and ${target.length} tokens, the model reads ${most[0]} and writes ${most[1]}; ` +
          "shorten it, raise --context, or choose --long-rows skip or truncate",
      );
    }
    if (longRows === "skip") skipped += 1;
    else {
      truncated += 1;
      kept.push({ row, pair: { source: cut(source, most[0]), target: cut(target, most[1]) } });
    }
  }
  return { pairs: kept.map(({ pair }) => pair), rows: kept.map(({ row }) => row), skipped, truncated, longest };
}

/** The beginning of a text with its last token, which ends it. */
function cut(ids: Int32Array, most: number): Int32Array {
  return ids.length <= most ? ids : Int32Array.of(...ids.subarray(0, most - 1), ids[ids.length - 1] ?? 0);
}

/** Pairs side by side, shorter ones filled up. */
export function pairBatch(pairs: readonly EncodedPair[], padding: number): TextPairs {
  const { ids, time, batch, lengths } = paddedBatch(pairs.map(({ source }) => source));
  const targets = paddedBatch(pairs.map(({ target }) => target));
  return {
    ...{ batch, time, lengths },
    inputs: ids.map((id, i) => (i % time < (lengths[Math.floor(i / time)] ?? 0) ? id : padding)),
    targets: targets.ids.map((id, i) =>
      i % targets.time < (targets.lengths[Math.floor(i / targets.time)] ?? 0) ? id : ignoredTarget,
    ),
    targetTime: targets.time,
  };
}
