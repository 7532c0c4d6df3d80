import { elementCount } from "../../core/shape.ts";
import { groupedProducts, sortedByGroup } from "../grouped-rows.ts";
import type { FusedKernels, Kernels, View } from "../kernels.ts";
import type { NativeFunctions } from "./addon.ts";
import { handleOf } from "./storage.ts";

/** Sorting of rows by the group that each is sent to; a few thousand integers, which JavaScript sorts as fast. */
export function groupKernels(native: NativeFunctions): Pick<Kernels, "sortByGroup"> {
  return {
    sortByGroup(choices, groups, out) {
      const sorted = sortedByGroup(
        choices.map((choice) => integersOf(native, choice)),
        groups,
      );
      native.write(handleOf(out), out.offset, sorted);
    },
  };
}

/** Products of rows with the matrix of their group. */
export function groupedLinearKernels(
  native: NativeFunctions,
  kernels: Kernels,
): Pick<FusedKernels, "groupedLinear" | "groupedLinearGrad"> {
  return groupedProducts(kernels, (view) => integersOf(native, view));
}

function integersOf(native: NativeFunctions, view: View): Int32Array {
  const values = new Int32Array(elementCount(view.shape));
  native.read(handleOf(view), view.offset, values);
  return values;
}
