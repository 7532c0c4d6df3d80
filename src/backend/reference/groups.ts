import type { FusedKernels } from "../fused-kernels.ts";
import { groupedProducts, sortedByGroup } from "../grouped-rows.ts";
import type { Kernels } from "../kernels.ts";
import type { View } from "../storage.ts";
import { integers } from "./storage.ts";

/** Sorting of rows by the group that each is sent to. */
export const groupSorting = {
  sortByGroup(choices: readonly View[], groups: number, out: View): void {
    integers(out).set(sortedByGroup(choices.map(integers), groups));
  },
} satisfies Partial<Kernels>;

/** Products of rows with the matrix of their group. */
export function groupedLinears(kernels: Kernels): Pick<FusedKernels, "groupedLinear" | "groupedLinearGrad"> {
  const alone = { batch: 1, batchStrideA: 0, batchStrideB: 0 };
  return groupedProducts({
    multiplyAll(products, roundsRows) {
      for (const product of products) kernels.matmul({ ...product, ...alone, roundsRows });
    },
    fill: kernels.fill,
    read: integers,
  });
}
