import type { Kernels } from "../../../src/backend/kernels.ts";
import type { View, WeightFormatName } from "../../../src/backend/storage.ts";
import { weightFormats } from "../../../src/backend/weight-formats.ts";
import type { Shape } from "../../../src/core/shape.ts";
import { rowMajorStrides } from "../../../src/core/shape.ts";
import type { Tolerance } from "../../closeness.ts";
import type { Case, CasesOf, Workspace } from "../workspace.ts";

const weightNames = Object.keys(weightFormats) as WeightFormatName[];

/** A length of rows that are whole blocks: this one, or a block of 256. */
const widthIn = (format: WeightFormatName, width: number): number => Math.max(width, weightFormats[format].block);

/** Decoding is exact, but for a minimum, which may be added to a product before that is rounded. */
const ofDecoding = (format: WeightFormatName): Tolerance => {
  const hasMinimum = weightFormats[format].scales.length > 1;
  return { absolute: hasMinimum ? 1e-6 : 0, relative: hasMinimum ? 1e-6 : 0 };
};

/** Rows of a table, rows that move, and their width. */
const tables = [
  [1, 1, 1],
  [5, 9, 3],
  [50, 700, 65],
  [3, 40, 129],
  [4, 0, 8],
] as const;

/** Ids of which one in `gaps` is negative. */
function idsBelow(memory: Workspace, limit: number, count: number, gaps: number): View {
  return memory.ids(Array.from({ length: count }, (_, i) => (i % gaps === gaps - 1 ? -1 - i : (i * 7 + 1) % limit)));
}

export const movementCases: CasesOf<
  "decode" | "gatherRows" | "scatterAddRows" | "setRows" | "pick" | "pickGrad" | "transfer"
> = {
  decode: [
    {
      name: "float32",
      run: (kernels, memory) => kernels.decode(memory.normal([3, 50], 1), memory.blank([3, 50])),
    },
    ...weightNames.map((format) => ({
      name: format,
      tolerance: ofDecoding(format),
      run(kernels: Kernels, memory: Workspace): void {
        const width = widthIn(format, 32);
        for (const rows of [1, 7, (1200 * 32) / width])
          kernels.decode(memory.weights(format, [rows, width], rows), memory.blank([rows, width]));
        if (format === "bfloat16") kernels.decode(memory.weights(format, [3, 11], 1), memory.blank([3, 11]));
      },
    })),
  ],
  gatherRows: [
    ...tables.map(([limit, rows, width]) => ({
      name: `${rows} of ${limit} rows of ${width}`,
      run(kernels: Kernels, memory: Workspace): void {
        const table = memory.normal([limit, width], 1);
        kernels.gatherRows(table, idsBelow(memory, limit, rows, 4), memory.blank([rows, width]));
      },
    })),
    ...weightNames.map((format) => ({
      name: `rows of ${format}`,
      tolerance: ofDecoding(format),
      run(kernels: Kernels, memory: Workspace): void {
        const width = widthIn(format, 96);
        const table = memory.weights(format, [50, width], 1);
        kernels.gatherRows(table, idsBelow(memory, 50, 700, 4), memory.blank([700, width]));
      },
    })),
  ],
  scatterAddRows: tables.map(([limit, rows, width]) => ({
    name: `${rows} of ${limit} rows of ${width}`,
    run(kernels, memory) {
      const from = memory.normal([rows, width], 1);
      kernels.scatterAddRows(from, idsBelow(memory, limit, rows, 4), memory.normal([limit, width], 2));
    },
  })),
  setRows: [
    {
      name: "distinct rows, some skipped",
      run(kernels, memory) {
        for (const [limit, , width] of tables) {
          const ids = memory.ids(Array.from({ length: limit }, (_, i) => (i % 3 === 2 ? -1 : limit - 1 - i)));
          kernels.setRows(memory.normal([limit, width], 1), ids, memory.normal([limit, width], 2));
        }
      },
    },
    {
      name: "into a table of bfloat16",
      run(kernels, memory) {
        for (const [limit, , width] of tables) {
          const ids = memory.ids(Array.from({ length: limit }, (_, i) => (i % 3 === 2 ? -1 : limit - 1 - i)));
          kernels.setRows(memory.normal([limit, width], 1), ids, memory.weights("bfloat16", [limit, width], 2));
        }
      },
    },
  ],
  pick: [
    {
      name: "one of each row",
      run(kernels, memory) {
        for (const [width, rows] of [
          [1, 1],
          [13, 5],
          [7, 3000],
        ] as const) {
          kernels.pick(memory.normal([rows, width], 1), idsBelow(memory, width, rows, 5), memory.blank([rows]));
        }
      },
    },
  ],
  pickGrad: [
    {
      name: "one of each row",
      run(kernels, memory) {
        for (const [width, rows] of [
          [1, 1],
          [13, 5],
          [7, 3000],
        ] as const) {
          const dy = memory.normal([rows], 1);
          kernels.pickGrad(dy, idsBelow(memory, width, rows, 5), memory.normal([rows, width], 2));
        }
      },
    },
  ],
  transfer: [
    ...[false, true].map(
      (accumulate): Case => ({
        name: `permuting${accumulate ? " and adding" : ""}`,
        run(kernels, memory) {
          for (const [shape, order] of permutations) {
            const target = order.map((axis) => shape[axis]!);
            const strides = rowMajorStrides(shape);
            const from = { view: memory.normal(shape, 1), offset: 0, strides: order.map((axis) => strides[axis]!) };
            const to = { view: memory.normal(target, 2), offset: 0, strides: rowMajorStrides(target) };
            kernels.transfer(target, from, to, accumulate);
          }
        },
      }),
    ),
    {
      name: "slices, broadcasts, nothing, and one number",
      run(kernels, memory) {
        const from = memory.normal([6, 7, 8], 1);
        const to = memory.normal([6, 7, 8], 2);
        kernels.transfer([2, 3, 4], walk(from, 61, [56, 8, 1]), walk(to, 130, [56, 16, 2]), false);
        kernels.transfer([2, 3, 4], walk(from, 0, [0, 8, 0]), walk(to, 1, [56, 16, 2]), true);
        kernels.transfer([2, 0, 4], walk(from, 0, [56, 8, 1]), walk(to, 0, [56, 8, 1]), false);
        kernels.transfer([], walk(from, 100, []), walk(to, 200, []), false);
        kernels.transfer([1, 1], walk(from, 101, [1, 1]), walk(to, 200, [1, 1]), true);
      },
    },
    {
      name: "integers",
      run(kernels, memory) {
        const ids = memory.ids([1, -2, 2147483647, -2147483648, 0, 5], [2, 3]);
        kernels.transfer([3, 2], walk(ids, 0, [1, 3]), walk(memory.blankIds([3, 2]), 0, [2, 1]), false);
      },
    },
  ],
};

const permutations: readonly (readonly [shape: Shape, order: readonly number[]])[] = [
  [[5], [0]],
  [
    [3, 4],
    [1, 0],
  ],
  [
    [70, 65],
    [1, 0],
  ],
  [
    [2, 9, 4, 33],
    [0, 2, 1, 3],
  ],
  [
    [2, 3, 4, 5],
    [3, 1, 2, 0],
  ],
  [
    [2, 1, 3, 1],
    [1, 2, 0, 3],
  ],
  [
    [30, 40, 50],
    [2, 0, 1],
  ],
];

function walk(
  view: View,
  offset: number,
  strides: readonly number[],
): { view: View; offset: number; strides: readonly number[] } {
  return { view, offset, strides };
}
