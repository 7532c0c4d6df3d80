import { ShapeError, UnsupportedError } from "../../core/errors.ts";
import { formatShape, sameShape } from "../../core/shape.ts";
import type { Op } from "../op.ts";
import { apply, defineOp, willRecord } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import type { AttentionAttrs } from "./attention.ts";
import { attention } from "./attention.ts";
import type { RaggedRows } from "./attention-mask.ts";

/** Numbers that say where a sequence lies. */
const placeNumbers = 6;

interface RaggedAttrs extends Pick<AttentionAttrs, "heads" | "keyValueHeads" | "scale" | "cap" | "slopes"> {
  readonly ragged: RaggedRows;
}

type Inputs = [query: Tensor, key: Tensor, value: Tensor, sequences: Tensor];

/**
 * Causal attention of sequences of unequal length, whose queries lie back to back and whose keys are stretches of a table.
 *
 * Shapes: query `[1, queries, heads · headDim]`, key and value `[1, rows, keyValueHeads · headDim]`, sequences int32
 * `[sequences, 6]`, see `RaggedAttention` → `[1, queries, heads · headDim]`.
 *
 * @throws {ShapeError} when widths do not fit.
 * @throws {UnsupportedError} when a gradient is wanted.
 */
const raggedAttention: Op<Inputs, RaggedAttrs> = defineOp({
  name: "raggedAttention",
  weights: [1, 2],
  integers: [3],
  fused: ["raggedAttention"],
  infer([query, key, value, sequences], { heads, keyValueHeads, slopes }) {
    const headDim = query.axis(-1) / heads;
    const fits =
      Number.isInteger(headDim) &&
      heads % keyValueHeads === 0 &&
      sameShape(query.shape, [1, query.axis(-2), heads * headDim]) &&
      sameShape(key.shape, [1, key.axis(-2), keyValueHeads * headDim]) &&
      sameShape(value.shape, key.shape) &&
      sameShape(sequences.shape, [sequences.axis(0), placeNumbers]) &&
      (!slopes || sameShape(slopes.shape, [heads]));
    if (!fits) {
      throw new ShapeError(
        `raggedAttention: query ${formatShape(query.shape)} with ${heads} heads, key ${formatShape(key.shape)} and value ` +
          `${formatShape(value.shape)} with ${keyValueHeads} heads do not fit`,
      );
    }
    return query.shape;
  },
  run(kernels, [query, key, value, sequences], out, attrs) {
    const { heads, keyValueHeads, scale, cap = null, slopes = null, ragged } = attrs;
    const rows = (view: Tensor) => ({ view, offset: 0, rowStride: view.axis(-1), batchStride: 0 });
    kernels.raggedAttention({
      ...{ heads, keyValueHeads, headDim: query.axis(-1) / heads, scale, cap, slopes },
      ...{ queries: query.axis(1), keys: key.axis(1), window: ragged.window, sequences },
      ...{ query: rows(query), key: rows(key), value: rows(value), out },
    });
  },
  grad() {
    throw new Error("internal: attention of ragged rows was put on the tape");
  },
  compose([query, key, value], { ragged, ...attrs }) {
    const out = query.filled(query.shape, 0);
    for (let at = 0; at < ragged.rows.length; at += placeNumbers) {
      const [start = 0, prefix = 0, length = 0, first = 0, count = 0, row = 0] = ragged.rows.subarray(at);
      if (count === 0) continue;
      const of = (table: Tensor): Tensor => table.window(row * table.axis(-1), [1, length, table.axis(-1)]);
      const firstKeys = Int32Array.from({ length: count }, (_, i) =>
        ragged.window > 0 ? Math.max(0, start + i + 1 - ragged.window) : 0,
      );
      const mask = {
        ...{ causal: true, queryStarts: Int32Array.of(start), prefixLengths: Int32Array.of(prefix) },
        ...{ keyLengths: Int32Array.of(length), firstKeys },
      };
      const part = apply(attention, [query.slice(1, first, first + count), of(key), of(value), null], {
        ...{ ...attrs, mask, dropout: null },
      });
      query.backend.kernels.transfer(
        part.shape,
        { view: part, offset: 0, strides: [0, part.axis(-1), 1] },
        { view: out, offset: first * part.axis(-1), strides: [0, part.axis(-1), 1] },
        false,
      );
    }
    return out;
  },
});

/**
 * Attention to what a cache holds, by whichever op its mask asks for.
 *
 * @throws {UnsupportedError} when rows are ragged, and there is a bias, or a gradient or dropout is wanted.
 */
export function attend(
  query: Tensor,
  { key, value }: { readonly key: Tensor; readonly value: Tensor },
  bias: Tensor | null,
  attrs: AttentionAttrs,
): Tensor {
  const { ragged } = attrs.mask;
  if (!ragged) return apply(attention, [query, key, value, bias], attrs);
  if (bias || attrs.dropout || willRecord([query])) {
    throw new UnsupportedError(
      "attention: sequences of unequal length are read without bias, dropout and gradients; pad them to one length",
    );
  }
  return apply(raggedAttention, [query, key, value, ragged.sequences], { ...attrs, ragged });
}
