import type { View } from "../../backend/storage.ts";
import { ShapeError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import { elementCount, formatShape } from "../../core/shape.ts";
import { Tensor } from "../tensor.ts";

/** Which keys each query may see. Lengths are given for each sequence of the batch; all are optional. */
export interface AttentionMask {
  /** Query i of a sequence sees key j only when j ≤ start + i (or j < prefix); start is 0 unless given. */
  readonly causal: boolean;
  /** `[batch]`: absolute position of the first query, when earlier keys come from a cache. */
  readonly queryStarts?: Int32Array | undefined;
  /** `[batch]`: leading keys that every query sees, as in a prefix language model. */
  readonly prefixLengths?: Int32Array | undefined;
  /** `[batch]`: keys that exist; the rest are padding. */
  readonly keyLengths?: Int32Array | undefined;
  /** `[batch · queries]`: first key that each query sees: start of its document, or of its window. */
  readonly firstKeys?: Int32Array | undefined;
  /** Sequences of unequal length, back to back in a batch of one; nothing else of the mask counts then. */
  readonly ragged?: RaggedRows | undefined;
  /** The mask at the same place of the next pass, where passes are alike; see `PassCapture`. */
  readonly renew?: (() => AttentionMask) | undefined;
}

/** Where the sequences of a pass lie: see `RaggedAttention`. */
export interface RaggedRows {
  /** int32 `[sequences, 6]` */
  readonly sequences: Tensor;
  /** The same numbers. */
  readonly rows: Int32Array;
  /** Keys that a query sees, its own included; 0 is all before it. */
  readonly window: number;
}

/**
 * Puts a mask where kernels can read it for the duration of `body`: `AttentionRule.mask`, written at once; null where it
 * says nothing. `shape` is `[batch, queries, keys]`.
 *
 * @throws {ShapeError} when a list has another length than the batch asks for.
 */
export function withMaskView(
  mask: AttentionMask,
  like: Tensor,
  [batch, queries, keys]: readonly [number, number, number],
  body: (view: View | null) => void,
): void {
  const rows = maskRows(mask, batch, queries, keys);
  if (!rows) {
    body(null);
    return;
  }
  const { renew } = mask;
  const next = renew && ((): Int32Array | null => maskRows(renew(), batch, queries, keys));
  const view = Tensor.given(like.backend, rows, [batch, rows.length / batch], next);
  body(view);
  view.release();
}

/** The values of a mask's view; null where it says nothing. */
function maskRows(
  { queryStarts, prefixLengths, keyLengths, firstKeys }: AttentionMask,
  batch: number,
  queries: number,
  keys: number,
): Int32Array | null {
  for (const list of [queryStarts, prefixLengths, keyLengths]) checkLength(list, [batch]);
  checkLength(firstKeys, [batch, queries]);
  if (!queryStarts && !prefixLengths && !keyLengths && !firstKeys) return null;
  const width = firstKeys ? 3 + queries : 3;
  const rows = new Int32Array(batch * width);
  for (let b = 0; b < batch; b++) {
    rows.set([queryStarts?.[b] ?? 0, prefixLengths?.[b] ?? 0, keyLengths?.[b] ?? keys], b * width);
    if (firstKeys) rows.set(firstKeys.subarray(b * queries, (b + 1) * queries), b * width + 3);
  }
  return rows;
}

function checkLength(values: Int32Array | undefined, axes: Shape): void {
  if (values && values.length !== elementCount(axes)) {
    throw new ShapeError(`attention: ${values.length} values of a mask do not fill ${formatShape(axes)}`);
  }
}

/** Whether query i of sequence b sees key j: the definition that every kernel implements. */
export function isVisible(mask: AttentionMask, batch: number, query: number, key: number, queries: number): boolean {
  if (mask.keyLengths && key >= (mask.keyLengths[batch] ?? 0)) return false;
  if (mask.firstKeys && key < (mask.firstKeys[batch * queries + query] ?? 0)) return false;
  if (!mask.causal) return true;
  return key <= (mask.queryStarts?.[batch] ?? 0) + query || key < (mask.prefixLengths?.[batch] ?? 0);
}

/**
 * A mask of sequences from their first token on, of which each query sees the keys up to `reach` places before it and
 * behind it.
 */
export function withinReach(
  keyLengths: Int32Array | undefined,
  reach: number,
  batch: number,
  queries: number,
): AttentionMask {
  const firstKeys = Int32Array.from({ length: batch * queries }, (_, row) => {
    // At padding, which nobody reads, something is to be seen, too.
    const last = (keyLengths?.[Math.floor(row / queries)] ?? queries) - 1;
    return Math.min(Math.max((row % queries) - reach, 0), last);
  });
  return { causal: true, queryStarts: new Int32Array(batch).fill(reach), firstKeys, keyLengths };
}

/** The same mask, of which each query sees only the last `window` keys up to its own. */
export function withinWindow(mask: AttentionMask, window: number, batch: number, queries: number): AttentionMask {
  if (mask.ragged) return { ...mask, ragged: { ...mask.ragged, window } };
  const firstKeys = Int32Array.from({ length: batch * queries }, (_, row) => {
    const own = (mask.queryStarts?.[Math.floor(row / queries)] ?? 0) + (row % queries);
    return Math.max(mask.firstKeys?.[row] ?? 0, own - window + 1);
  });
  const { renew } = mask;
  return { ...mask, firstKeys, renew: renew && (() => withinWindow(renew(), window, batch, queries)) };
}
