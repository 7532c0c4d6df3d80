import { elementCount } from "../../core/shape.ts";
import type { FusedKernels } from "../fused-kernels.ts";
import type { View } from "../storage.ts";
import type { NativeFunctions } from "./addon.ts";
import { pair } from "./elementwise.ts";

/** Steps of a long short-term memory. */
export function lstmKernels(native: NativeFunctions): Pick<FusedKernels, "lstmCell" | "lstmCellGrad"> {
  return {
    lstmCell: ({ gates, before, cells, hidden }) =>
      native.lstmCell(...pair(gates, before), ...pair(cells, hidden), ...units(cells)),
    lstmCellGrad: ({ gates, before, cells, dHidden, dCells, dSums }) =>
      native.lstmCellGrad(...pair(gates, before), ...pair(cells, dHidden), ...pair(dCells, dSums), ...units(cells)),
  };
}

/** Rows of cells, and their width. */
function units({ shape }: View): [rows: number, width: number] {
  const width = shape.at(-1) ?? 1;
  return [elementCount(shape.slice(0, -1)), width];
}
