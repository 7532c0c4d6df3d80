import type { View } from "../../../src/backend/storage.ts";
import type { Case, CasesOf, Workspace } from "../workspace.ts";

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

/** Sizes of the axes before, at and behind the one that is reduced. */
const reductions = [
  [1, 1, 1],
  [1, 20_003, 1],
  [33, 70, 1],
  [3, 20_000, 1],
  [1, 150, 37],
  [5, 9, 17],
  [300, 3, 40],
  [2, 0, 3],
  [4, 1, 0],
] as const;

/** Rows and their length. */
const sizes = [
  [1, 1],
  [3, 7],
  [5, 16],
  [70, 129],
  [2, 20_001],
  [0, 5],
] as const;

const loose = { absolute: 1e-4, relative: 1e-4 };

/** Rows in which a few elements stand out by far. */
function logitRows(memory: Workspace, rows: number, width: number): View {
  return memory.normal([rows, width], rows + width, 20);
}

const unusual = [
  ...[-infinity, 1, 2, -infinity, 0],
  ...[0, 1e4, -1e4, 3e38, -3e38],
  ...[nan, 1, 2, 3, 4],
  ...[1, 2, 3, 4, nan],
];

/** Rows of which one sees nothing. */
const hidden = [...[-infinity, -infinity, -infinity], ...[infinity, 0, 1]];

export const rowCases: CasesOf<
  "sum" | "max" | "argmax" | "softmax" | "softmaxGrad" | "logSoftmax" | "logSoftmaxGrad" | "crossEntropy"
> = {
  sum: reductions.map(([outer, axis, inner]) => ({
    name: `of ${outer} × ${axis} × ${inner}`,
    tolerance: loose,
    run(kernels, memory) {
      kernels.sum(memory.normal([outer, axis, inner], 1), outer, axis, inner, memory.blank([outer, inner]));
    },
  })),
  max: [
    ...reductions.map(
      ([outer, axis, inner]): Case => ({
        name: `of ${outer} × ${axis} × ${inner}`,
        run(kernels, memory) {
          kernels.max(memory.normal([outer, axis, inner], 1), outer, axis, inner, memory.blank([outer, inner]));
        },
      }),
    ),
    {
      name: "with NaN and infinities",
      run(kernels, memory) {
        kernels.max(memory.floats(unusual), 4, 5, 1, memory.blank([4]));
        kernels.max(memory.floats(unusual), 1, 4, 5, memory.blank([5]));
        kernels.max(memory.floats(hidden), 2, 3, 1, memory.blank([2]));
      },
    },
  ],
  argmax: [
    {
      name: "every size, and ties",
      run(kernels, memory) {
        for (const [rows, width] of sizes) kernels.argmax(memory.normal([rows, width], 1), memory.blankIds([rows]));
        const ties = Array.from({ length: 3 * 40 }, (_, i) => (i * 7) % 5);
        kernels.argmax(memory.floats(ties, [3, 40]), memory.blankIds([3]));
        kernels.argmax(memory.floats(hidden, [2, 3]), memory.blankIds([2]));
        kernels.argmax(memory.floats(unusual.slice(0, 10), [2, 5]), memory.blankIds([2]));
      },
    },
  ],
  softmax: [
    {
      name: "every size, and in place",
      run(kernels, memory) {
        for (const [rows, width] of sizes) {
          const x = logitRows(memory, rows, width);
          kernels.softmax(x, memory.blank([rows, width]));
          kernels.softmax(x, x);
        }
      },
    },
    {
      name: "hidden elements, NaN, and a row that is all hidden",
      run(kernels, memory) {
        kernels.softmax(memory.floats(unusual, [4, 5]), memory.blank([4, 5]));
        kernels.softmax(memory.floats(hidden, [2, 3]), memory.blank([2, 3]));
      },
    },
  ],
  softmaxGrad: [
    {
      name: "every size, and in place",
      run(kernels, memory) {
        for (const [rows, width] of sizes) {
          const y = memory.blank([rows, width]);
          kernels.softmax(logitRows(memory, rows, width), y);
          const dy = memory.normal([rows, width], 2);
          kernels.softmaxGrad(y, dy, memory.blank([rows, width]));
          kernels.softmaxGrad(y, dy, dy);
        }
      },
    },
  ],
  logSoftmax: [
    {
      name: "every size, and in place",
      run(kernels, memory) {
        for (const [rows, width] of sizes) {
          const x = logitRows(memory, rows, width);
          kernels.logSoftmax(x, memory.blank([rows, width]));
          kernels.logSoftmax(x, x);
        }
      },
    },
    {
      name: "hidden elements, NaN, and a row that is all hidden",
      run(kernels, memory) {
        kernels.logSoftmax(memory.floats(unusual, [4, 5]), memory.blank([4, 5]));
        kernels.logSoftmax(memory.floats(hidden, [2, 3]), memory.blank([2, 3]));
      },
    },
  ],
  logSoftmaxGrad: [
    {
      name: "every size, and in place",
      tolerance: loose,
      run(kernels, memory) {
        for (const [rows, width] of sizes) {
          const y = memory.blank([rows, width]);
          kernels.logSoftmax(logitRows(memory, rows, width), y);
          const dy = memory.normal([rows, width], 2);
          kernels.logSoftmaxGrad(y, dy, memory.blank([rows, width]));
          kernels.logSoftmaxGrad(y, dy, dy);
        }
      },
    },
  ],
  crossEntropy: [
    {
      name: "every size, with and without a gradient, and over the logits",
      run(kernels, memory) {
        for (const [rows, width] of sizes) {
          const logits = logitRows(memory, rows, width);
          const targets = memory.ids(Array.from({ length: rows }, (_, i) => (i % 4 === 2 ? -100 : (i * 5) % width)));
          kernels.crossEntropy(logits, targets, memory.blank([rows]), null, 1);
          kernels.crossEntropy(logits, targets, memory.blank([rows]), memory.blank([rows, width]), 0.125);
          kernels.crossEntropy(logits, targets, memory.blank([rows]), logits, -3);
        }
      },
    },
    {
      name: "NaN among the logits, and rows left out that hold one",
      run(kernels, memory) {
        const targets = memory.ids([1, 3, -1, 2]);
        kernels.crossEntropy(memory.floats(unusual, [4, 5]), targets, memory.blank([4]), memory.blank([4, 5]), 2);
      },
    },
  ],
};
