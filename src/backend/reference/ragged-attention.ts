import type { FusedKernels, HeadRows, RaggedAttention } from "../fused-kernels.ts";
import type { View } from "../storage.ts";
import { integers, ReferenceStorage } from "./storage.ts";

/** Attention of sequences of unequal length, one after the other, each by `attention`. */
export function raggedAttentionBy(attention: FusedKernels["attention"]): Pick<FusedKernels, "raggedAttention"> {
  return {
    raggedAttention(operands: RaggedAttention) {
      const { heads, headDim, query, key, value, out } = operands;
      const numbers = integers(operands.sequences);
      for (let at = 0; at < numbers.length; at += 6) {
        const [start = 0, prefix = 0, length = 0, first = 0, count = 0, row = 0] = numbers.subarray(at, at + 6);
        attention({
          ...{ ...operands, batch: 1, queries: count, keys: length, causal: true, bias: null, dropout: null },
          mask: maskOf([start, prefix, length], count, operands.window),
          query: from(query, first),
          key: from(key, row),
          value: from(value, row),
          out: { ...out, offset: out.offset + first * heads * headDim, shape: [1, count, heads, headDim] },
          logSumExp: null,
        });
      }
    },
  };
}

/** As `AttentionRule.mask` of one sequence. */
function maskOf([start, prefix, length]: readonly [number, number, number], queries: number, window: number): View {
  const shape = [1, 3 + queries];
  const storage = new ReferenceStorage("int32", 3 + queries, "float32");
  const firstKeys = Array.from({ length: queries }, (_, i) => (window > 0 ? Math.max(0, start + i + 1 - window) : 0));
  storage.values.set([start, prefix, length, ...firstKeys]);
  return { storage, offset: 0, shape };
}

function from(rows: HeadRows, row: number): HeadRows {
  return { ...rows, offset: rows.offset + row * rows.rowStride, batchStride: 0 };
}
