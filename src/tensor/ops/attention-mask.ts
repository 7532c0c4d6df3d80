import type { AttentionRule, View } from "../../backend/kernels.ts";
import { ShapeError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import { elementCount, formatShape } from "../../core/shape.ts";
import type { Tensor } from "../tensor.ts";

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
}

type MaskViews = Pick<AttentionRule, "causal" | "queryStarts" | "prefixLengths" | "keyLengths" | "firstKeys">;

/** Puts a mask's lengths where kernels can read them for the duration of `body`: stretches of one tensor, written at once. */
export function withMaskViews(mask: AttentionMask, like: Tensor, shape: Shape, body: (views: MaskViews) => void): void {
  const { causal, queryStarts, prefixLengths, keyLengths, firstKeys } = mask;
  const given = [queryStarts, prefixLengths, keyLengths, firstKeys].filter((values) => values !== undefined);
  const size = given.reduce((sum, { length }) => sum + length, 0);
  const all = size > 0 ? like.blank([size], "int32") : null;
  const packed = new Int32Array(size);
  let end = 0;
  const place = (values: Int32Array | undefined, axes: Shape): View | null => {
    if (!values || !all) return null;
    if (values.length !== elementCount(axes)) {
      throw new ShapeError(`attention: ${values.length} values of a mask do not fill ${formatShape(axes)}`);
    }
    packed.set(values, end);
    end += values.length;
    return all.window(end - values.length, axes);
  };
  const [batch = 1, queries = 1] = shape;
  const views = {
    causal,
    queryStarts: place(queryStarts, [batch]),
    prefixLengths: place(prefixLengths, [batch]),
    keyLengths: place(keyLengths, [batch]),
    firstKeys: place(firstKeys, [batch, queries]),
  };
  all?.write(packed);
  body(views);
  all?.release();
}

/** Whether query i of sequence b sees key j: the definition that every kernel implements. */
export function isVisible(mask: AttentionMask, batch: number, query: number, key: number, queries: number): boolean {
  if (mask.keyLengths && key >= (mask.keyLengths[batch] ?? 0)) return false;
  if (mask.firstKeys && key < (mask.firstKeys[batch * queries + query] ?? 0)) return false;
  if (!mask.causal) return true;
  return key <= (mask.queryStarts?.[batch] ?? 0) + query || key < (mask.prefixLengths?.[batch] ?? 0);
}

/** The same mask, of which each query sees only the last `window` keys up to its own. */
export function withinWindow(mask: AttentionMask, window: number, batch: number, queries: number): AttentionMask {
  const firstKeys = Int32Array.from({ length: batch * queries }, (_, row) => {
    const own = (mask.queryStarts?.[Math.floor(row / queries)] ?? 0) + (row % queries);
    return Math.max(mask.firstKeys?.[row] ?? 0, own - window + 1);
  });
  return { ...mask, firstKeys };
}
