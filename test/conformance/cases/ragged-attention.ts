import type { RaggedAttention } from "../../../src/backend/fused-kernels.ts";
import type { View } from "../../../src/backend/storage.ts";
import type { Case, CasesOf } from "../workspace.ts";

/** `[start, prefix, queries, row of the first key]` of a sequence; it has as many keys as positions. */
type Place = readonly [start: number, prefix: number, queries: number, row: number];

interface Setup extends Partial<Pick<RaggedAttention, "heads" | "keyValueHeads" | "cap" | "window" | "scale">> {
  readonly name: string;
  readonly headDim: number;
  readonly keys: number;
  readonly places: readonly Place[];
  readonly slopes?: boolean;
  readonly isRounded?: boolean;
}

const setups: readonly Setup[] = [
  { name: "one query, one key", headDim: 1, keys: 1, places: [[0, 0, 1, 0]] },
  {
    name: "decoding in slots of any order",
    ...{ headDim: 64, keys: 1300 },
    places: [
      [599, 0, 1, 700],
      [300, 0, 1, 0],
      [0, 0, 1, 500],
    ],
  },
  {
    name: "a prompt beside others that decode",
    ...{ headDim: 40, heads: 6, keyValueHeads: 2, keys: 1400 },
    places: [
      [580, 0, 1, 600],
      [0, 0, 30, 0],
      [37, 0, 3, 1200],
      [3, 0, 0, 1300],
    ],
  },
  {
    name: "prompts over more than a block, one after what was read before",
    ...{ headDim: 11, heads: 1, keys: 1300 },
    places: [
      [490, 0, 50, 20],
      [0, 0, 270, 700],
    ],
  },
  {
    name: "prefixes",
    ...{ headDim: 8, keys: 90 },
    places: [
      [0, 29, 29, 40],
      [0, 2, 2, 3],
    ],
  },
  {
    name: "windows",
    ...{ headDim: 16, keys: 1500, window: 33 },
    places: [
      [700, 0, 1, 0],
      [490, 0, 40, 800],
    ],
  },
  {
    name: "capped scores, slopes",
    ...{ headDim: 24, heads: 4, scale: 2, cap: 3, slopes: true, keys: 200 },
    places: [
      [60, 0, 2, 100],
      [0, 0, 70, 5],
    ],
  },
];

function caseOf(setup: Setup): Case {
  const { heads = 2, keyValueHeads = heads, headDim, keys, places } = setup;
  return {
    name: setup.isRounded ? `${setup.name}, keys and values of bfloat16` : setup.name,
    tolerance: { absolute: 1e-5, relative: 1e-4 },
    run(kernels, memory) {
      let queries = 0;
      const numbers = places.flatMap(([start, prefix, count, row]) => {
        queries += count;
        return [start, prefix, start + count, queries - count, count, row];
      });
      const rows = (view: View) => ({ view, offset: 0, rowStride: view.shape.at(-1) ?? 0, batchStride: 0 });
      const table = (seed: number): View => {
        const shape = [keys, keyValueHeads * headDim];
        return setup.isRounded ? memory.weights("bfloat16", shape, seed) : memory.normal(shape, seed);
      };
      kernels.raggedAttention({
        ...{ heads, keyValueHeads, headDim, queries, keys, cap: setup.cap ?? null, window: setup.window ?? 0 },
        scale: setup.scale ?? headDim ** -0.5,
        slopes: setup.slopes ? memory.floats(Float32Array.from({ length: heads }, (_, h) => 2 ** (-2 * h - 1))) : null,
        sequences: memory.ids(numbers, [places.length, 6]),
        query: rows(memory.normal([queries, heads * headDim], 1)),
        ...{ key: rows(table(2)), value: rows(table(3)) },
        out: memory.blank([queries, heads, headDim]),
      });
    },
  };
}

export const raggedAttentionCases: CasesOf<"raggedAttention"> = {
  raggedAttention: setups.flatMap((setup) => [caseOf(setup), caseOf({ ...setup, isRounded: true })]),
};
