import type { CasesOf } from "../workspace.ts";

/** Nothing, tails of every vector length, and more than one thread takes. */
const shapes = [
  [0, 5],
  [1, 1],
  [3, 7],
  [2, 33],
  [40, 100],
] as const;

export const lstmCases: CasesOf<"lstmCell" | "lstmCellGrad"> = {
  lstmCell: shapes.map(([rows, width]) => ({
    name: `${rows} × ${width}`,
    run(kernels, memory) {
      const [cells, hidden] = [memory.blank([rows, width]), memory.blank([rows, width])];
      const gates = memory.normal([rows, 4 * width], 1, 2);
      kernels.lstmCell({ gates, before: memory.normal([rows, width], 2), cells, hidden });
    },
  })),
  lstmCellGrad: shapes.map(([rows, width]) => ({
    name: `${rows} × ${width}`,
    run(kernels, memory) {
      const normal = (seed: number): ReturnType<typeof memory.normal> => memory.normal([rows, width], seed);
      const gates = memory.normal([rows, 4 * width], 1, 0.5);
      const [before, cells, dHidden, dCells] = [normal(2), normal(3), normal(4), normal(5)];
      kernels.lstmCellGrad({ gates, before, cells, dHidden, dCells, dSums: memory.blank([rows, 4 * width]) });
    },
  })),
};
