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

/** Samples, places, channels and groups. */
const groupSizes = [
  [1, 1, 1, 1],
  [2, 9, 6, 3],
  [3, 35, 40, 8],
  [2, 64, 64, 32],
  [1, 20, 130, 1],
  [0, 4, 4, 2],
] as const;

const groupCases = [
  ["plain", null],
  ["with SiLU", "silu"],
] as const;

export const normCases: CasesOf<
  "layerNorm" | "layerNormGrad" | "rmsNorm" | "rmsNormGrad" | "groupNorm" | "groupNormGrad"
> = {
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
      name: "samples with gains of their own, and none at all",
      tolerance: sums,
      run(kernels, memory) {
        for (const [samples, rows, width] of [
          [3, 70, 33],
          [70, 1, 17],
          [2, 64, 128],
        ] as const) {
          const shape = [samples, rows, width];
          const [x, dy] = [memory.normal(shape, 1), memory.normal(shape, 3)];
          const [gain, bias] = [memory.normal([samples, width], 2), memory.normal([samples, width], 4)];
          const [mean, rstd] = [memory.blank([samples * rows]), memory.blank([samples * rows])];
          kernels.layerNorm(x, gain, bias, 1e-5, memory.blank(shape), mean, rstd);
          kernels.layerNorm(x, null, bias, 1e-5, memory.blank(shape), mean, rstd);
          kernels.layerNorm(x, null, null, 1e-5, memory.blank(shape), mean, rstd);
          const [dGain, dBias] = [memory.blank([samples, width]), memory.blank([samples, width])];
          const operands = { x, mean, rstd, dy, residual: null };
          kernels.layerNormGrad({ ...operands, gain, dx: memory.blank(shape), dGain, dBias });
          kernels.layerNormGrad({ ...operands, gain: null, dx: memory.blank(shape), dGain: null, dBias });
          kernels.layerNormGrad({ ...operands, gain: null, dx: memory.blank(shape), dGain: null, dBias: null });
        }
      },
    },
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
  groupNorm: groupCases.map(([name, activation]) => ({
    name,
    run(kernels, memory) {
      for (const [batch, places, channels, groups] of groupSizes) {
        const shape = [batch, places, channels];
        const [x, gain, bias] = [memory.normal(shape, 1), memory.normal([channels], 2), memory.normal([channels], 3)];
        const [mean, rstd] = [memory.blank([batch, groups]), memory.blank([batch, groups])];
        const out = memory.blank(shape);
        kernels.groupNorm({ x, gain, bias, mean, rstd, groups, activation, epsilon: 1e-5, out });
      }
    },
  })),
  groupNormGrad: groupCases.map(([name, activation]) => ({
    name: `${name}, with and without residual, dGain and dBias`,
    tolerance: sums,
    run(kernels, memory) {
      for (const [batch, places, channels, groups] of groupSizes) {
        const shape = [batch, places, channels];
        const [x, gain, bias] = [memory.normal(shape, 1), memory.normal([channels], 2), memory.normal([channels], 3)];
        const [mean, rstd] = [memory.blank([batch, groups]), memory.blank([batch, groups])];
        const rule = { x, gain, bias, mean, rstd, groups, activation };
        kernels.groupNorm({ ...rule, epsilon: 1e-5, out: memory.blank(shape) });
        const [dy, sum] = [memory.normal(shape, 4), memory.normal(shape, 5)];
        const [dGain, dBias] = [memory.blank([channels]), memory.blank([channels])];
        kernels.groupNormGrad({ ...rule, dy, residual: null, dx: memory.blank(shape), dGain, dBias });
        kernels.groupNormGrad({ ...rule, dy, residual: sum, dx: sum, dGain: null, dBias: null });
      }
    },
  })),
};
