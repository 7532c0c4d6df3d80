import type { MatmulPrecision } from "../../../src/backend/kernels.ts";
import type { Case, CasesOf } from "../workspace.ts";

interface Setup {
  /** Of each group: none in some, one group only, no rows at all. */
  readonly rows: readonly number[];
  /** Of each group's matrix. */
  readonly outputs: number;
  readonly inputs: number;
}

const setups: readonly Setup[] = [
  { rows: [3, 0, 5, 1], outputs: 9, inputs: 17 },
  { rows: [7], outputs: 9, inputs: 17 },
  { rows: [0, 0], outputs: 9, inputs: 17 },
  { rows: [40, 33, 0, 20], outputs: 9, inputs: 17 },
  { rows: [300, 4, 0, 130, 21], outputs: 90, inputs: 301 },
];

const precisions: readonly MatmulPrecision[] = ["float32", "bfloat16"];

/** One case for each setup in each precision; sums are of `terms` products. */
function inBothPrecisions(terms: (setup: Setup) => number, run: (setup: Setup) => Case["run"]): Case[] {
  return setups.flatMap((setup) =>
    precisions.map((matmulPrecision) => ({
      name: `groups of ${setup.rows.join(", ")} rows, ${matmulPrecision}`,
      tolerance: { absolute: 3e-7 * (terms(setup) + 16), relative: 1e-5 },
      matmulPrecision,
      run: run(setup),
    })),
  );
}

function sorted(rows: readonly number[]): number[] {
  return rows.flatMap((count, group) => new Array<number>(count).fill(group));
}

export const groupCases: CasesOf<"sortByGroup" | "groupedLinear" | "groupedLinearGrad"> = {
  sortByGroup: [
    {
      name: "rows with one, two and no choices",
      run(kernels, memory) {
        const [first, second] = [memory.ids([2, 0, 2, 1, 0]), memory.ids([0, 3, 3, 0, 2])];
        kernels.sortByGroup([first], 4, memory.blankIds([3, 5]));
        kernels.sortByGroup([first, second], 5, memory.blankIds([3, 10]));
        kernels.sortByGroup([memory.ids([])], 3, memory.blankIds([3, 0]));
      },
    },
  ],
  groupedLinear: inBothPrecisions(
    ({ inputs }) => inputs,
    ({ rows, outputs, inputs }) =>
      (kernels, memory) => {
        const groupOf = memory.ids(sorted(rows));
        const count = groupOf.shape[0] ?? 0;
        const weight = memory.normal([rows.length, outputs, inputs], 2);
        const x = memory.normal([count, inputs], 1);
        kernels.groupedLinear({ x, weight, groupOf, out: memory.blank([count, outputs]) });
      },
  ),
  groupedLinearGrad: inBothPrecisions(
    ({ rows, outputs }) => Math.max(outputs, ...rows),
    ({ rows, outputs, inputs }) =>
      (kernels, memory) => {
        const groupOf = memory.ids(sorted(rows));
        const count = groupOf.shape[0] ?? 0;
        const [x, weight] = [memory.normal([count, inputs], 1), memory.normal([rows.length, outputs, inputs], 2)];
        const shared = { x, weight, groupOf, dy: memory.normal([count, outputs], 3) };
        const [dx, dWeight] = [memory.blank(x.shape), memory.blank(weight.shape)];
        kernels.groupedLinearGrad({ ...shared, dx, dWeight });
        kernels.groupedLinearGrad({ ...shared, dx: memory.blank(x.shape), dWeight: null });
        kernels.groupedLinearGrad({ ...shared, dx: null, dWeight: memory.blank(weight.shape) });
      },
  ),
};
