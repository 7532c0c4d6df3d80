import type { CasesOf } from "../workspace.ts";

/** Rows and their width. */
const sizes = [
  [1, 1],
  [3, 7],
  [40, 33],
  [70, 128],
  [2, 3001],
  [0, 8],
] as const;

const sums = { absolute: 2e-5, relative: 2e-5 };

export const normCases: CasesOf<"layerNorm" | "layerNormGrad" | "rmsNorm" | "rmsNormGrad"> = {
  layerNorm: [
    {
      name: "every size",
      run(kernels, memory) {
        for (const [rows, width] of sizes) {
          const [x, gain, bias] = [
            memory.normal([rows, width], 1),
            memory.normal([width], 2),
            memory.normal([width], 3),
          ];
          const [mean, rstd] = [memory.blank([rows]), memory.blank([rows])];
          kernels.layerNorm(x, gain, bias, 1e-5, memory.blank([rows, width]), mean, rstd);
        }
      },
    },
    {
      name: "a constant row, and one with NaN",
      run(kernels, memory) {
        const x = memory.floats([3, 3, 3, 3, 1, 2, Number.NaN, 4], [2, 4]);
        const [gain, bias] = [memory.normal([4], 2), memory.normal([4], 3)];
        kernels.layerNorm(x, gain, bias, 1e-5, memory.blank([2, 4]), memory.blank([2]), memory.blank([2]));
      },
    },
  ],
  layerNormGrad: [
    {
      name: "every size, with and without residual, dGain and dBias",
      tolerance: sums,
      run(kernels, memory) {
        for (const [rows, width] of sizes) {
          const [x, gain, dy] = [
            memory.normal([rows, width], 1),
            memory.normal([width], 2),
            memory.normal([rows, width], 3),
          ];
          const [mean, rstd] = [memory.blank([rows]), memory.blank([rows])];
          kernels.layerNorm(x, gain, memory.normal([width], 4), 1e-5, memory.blank([rows, width]), mean, rstd);
          const [dx, dGain, dBias] = [memory.blank([rows, width]), memory.blank([width]), memory.blank([width])];
          kernels.layerNormGrad({ x, gain, mean, rstd, dy, residual: null, dx, dGain, dBias });
          const sum = memory.normal([rows, width], 5);
          kernels.layerNormGrad({ x, gain, mean, rstd, dy, residual: sum, dx: sum, dGain: null, dBias: null });
          kernels.layerNormGrad({ x, gain, mean, rstd, dy, residual: dy, dx, dGain: null, dBias });
        }
      },
    },
  ],
  rmsNorm: [
    {
      name: "every size",
      run(kernels, memory) {
        for (const [rows, width] of sizes) {
          const [x, gain] = [memory.normal([rows, width], 1), memory.normal([width], 2)];
          kernels.rmsNorm(x, gain, 1e-6, memory.blank([rows, width]), memory.blank([rows]));
        }
      },
    },
  ],
  rmsNormGrad: [
    {
      name: "every size, with and without residual and dGain",
      tolerance: sums,
      run(kernels, memory) {
        for (const [rows, width] of sizes) {
          const [x, gain, dy] = [
            memory.normal([rows, width], 1),
            memory.normal([width], 2),
            memory.normal([rows, width], 3),
          ];
          const rstd = memory.blank([rows]);
          kernels.rmsNorm(x, gain, 1e-6, memory.blank([rows, width]), rstd);
          const dGain = memory.blank([width]);
          kernels.rmsNormGrad({ x, gain, rstd, dy, residual: null, dx: memory.blank([rows, width]), dGain });
          const sum = memory.normal([rows, width], 5);
          kernels.rmsNormGrad({ x, gain, rstd, dy, residual: sum, dx: sum, dGain: null });
        }
      },
    },
  ],
};
