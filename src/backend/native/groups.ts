import { elementCount } from "../../core/shape.ts";
import type { FusedKernels } from "../fused-kernels.ts";
import { groupedProducts, sortedByGroup } from "../grouped-rows.ts";
import type { Kernels, MatmulPrecision } from "../kernels.ts";
import type { View } from "../storage.ts";
import type { NativeFunctions } from "./addon.ts";
import { handleOf, weightHandleOf } from "./storage.ts";

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

/** Products of rows with the matrix of their group, all in one call. */
export function groupedLinearKernels(
  native: NativeFunctions,
  kernels: Pick<Kernels, "fill">,
  precision: MatmulPrecision,
): Pick<FusedKernels, "groupedLinear" | "groupedLinearGrad"> {
  return groupedProducts({
    multiplyAll(products, roundsRows) {
      const table = products.flatMap(({ a, b, out, m, n, k, transposeA, transposeB }) => [
        ...[handleOf(a), a.offset, weightHandleOf(b), b.offset, handleOf(out), out.offset],
        ...[m, n, k, Number(transposeA), Number(transposeB)],
      ]);
      native.matmuls(Float64Array.from(table), precision === "bfloat16" ? 1 : 0, Number(roundsRows));
    },
    fill: kernels.fill,
    read: (view) => integersOf(native, view),
  });
}

function integersOf(native: NativeFunctions, view: View): Int32Array {
  const values = new Int32Array(elementCount(view.shape));
  native.read(handleOf(view), view.offset, values);
  return values;
}
