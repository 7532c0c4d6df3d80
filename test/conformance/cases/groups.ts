import type { CasesOf } from "../workspace.ts";

/** Rows of each group: none in some, one group only, no rows at all. */
const sizes = [[3, 0, 5, 1], [7], [0, 0], [40, 33, 0, 20]] as const;

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
  groupedLinear: sizes.map((rows) => ({
    name: `groups of ${rows.join(", ")} rows`,
    run(kernels, memory) {
      const groupOf = memory.ids(sorted(rows));
      const count = groupOf.shape[0] ?? 0;
      const weight = memory.normal([rows.length, 9, 17], 2);
      kernels.groupedLinear({ x: memory.normal([count, 17], 1), weight, groupOf, out: memory.blank([count, 9]) });
    },
  })),
  groupedLinearGrad: sizes.map((rows) => ({
    name: `groups of ${rows.join(", ")} rows`,
    run(kernels, memory) {
      const groupOf = memory.ids(sorted(rows));
      const count = groupOf.shape[0] ?? 0;
      const [x, weight] = [memory.normal([count, 17], 1), memory.normal([rows.length, 9, 17], 2)];
      const shared = { x, weight, groupOf, dy: memory.normal([count, 9], 3) };
      kernels.groupedLinearGrad({ ...shared, dx: memory.blank([count, 17]), dWeight: memory.blank(weight.shape) });
      kernels.groupedLinearGrad({ ...shared, dx: memory.blank([count, 17]), dWeight: null });
      kernels.groupedLinearGrad({ ...shared, dx: null, dWeight: memory.blank(weight.shape) });
    },
  })),
};
