import type { View } from "../../../src/backend/storage.ts";
import type { Case, CasesOf, Workspace } from "../workspace.ts";

interface Sizes {
  readonly x: readonly [batch: number, height: number, width: number, channels: number];
  readonly weight: readonly [out: number, tapRows: number, tapColumns: number];
  readonly stride: number;
  /** Before and behind, along both axes. */
  readonly padding: readonly [before: number, behind: number];
}

const sizes: readonly Sizes[] = [
  { x: [1, 1, 1, 1], weight: [1, 1, 1], stride: 1, padding: [0, 0] },
  { x: [2, 5, 7, 3], weight: [5, 3, 3], stride: 1, padding: [1, 1] },
  { x: [1, 9, 8, 40], weight: [33, 3, 3], stride: 1, padding: [1, 1] },
  { x: [3, 6, 5, 17], weight: [12, 3, 3], stride: 2, padding: [1, 1] },
  { x: [2, 8, 8, 4], weight: [35, 3, 3], stride: 2, padding: [0, 1] },
  { x: [2, 7, 6, 20], weight: [9, 1, 1], stride: 2, padding: [0, 0] },
  { x: [1, 9, 11, 2], weight: [3, 2, 5], stride: 3, padding: [2, 2] },
  { x: [0, 4, 4, 2], weight: [3, 3, 3], stride: 1, padding: [1, 1] },
];

/** As many products as two threads share, and more than one block of them. */
const large: Sizes = { x: [2, 13, 12, 64], weight: [72, 3, 3], stride: 1, padding: [1, 1] };

const sums = { absolute: 1e-4, relative: 1e-4 };

/** Places along one axis. */
function places(length: number, taps: number, { stride, padding: [before, behind] }: Sizes): number {
  return Math.floor((length + before + behind - taps) / stride) + 1;
}

interface Operands {
  readonly x: View;
  readonly weight: View;
  readonly dy: View;
  readonly places: { readonly stride: number; readonly top: number; readonly left: number };
}

function operands(memory: Workspace, all: Sizes): Operands {
  const [batch, height, width, channels] = all.x;
  const [out, tapRows, tapColumns] = all.weight;
  return {
    x: memory.normal(all.x, 1),
    weight: memory.normal([...all.weight, channels], 2),
    dy: memory.normal([batch, places(height, tapRows, all), places(width, tapColumns, all), out], 3),
    places: { stride: all.stride, top: all.padding[0], left: all.padding[0] },
  };
}

/** Cases in float32, and one in bfloat16. */
function cases(run: (kernels: Parameters<Case["run"]>[0], memory: Workspace, all: Sizes) => void): readonly Case[] {
  const small: Case["run"] = (kernels, memory) => {
    for (const all of sizes) run(kernels, memory, all);
  };
  return [
    { name: "every size", tolerance: sums, run: small },
    { name: "every size, bfloat16", tolerance: sums, matmulPrecision: "bfloat16", run: small },
    { name: "large", tolerance: sums, run: (kernels, memory) => run(kernels, memory, large) },
  ];
}

export const convolutionCases: CasesOf<"conv2d" | "conv2dInputGrad" | "conv2dWeightGrad"> = {
  conv2d: cases((kernels, memory, all) => {
    const { x, weight, dy, places: at } = operands(memory, all);
    const bias = memory.normal([all.weight[0]], 4);
    const out = memory.blank(dy.shape);
    kernels.conv2d({ x, weight, bias: null, out, activation: null, preActivation: null, ...at });
    const preActivation = memory.blank(dy.shape);
    kernels.conv2d({ x, weight, bias, out: memory.blank(dy.shape), activation: "silu", preActivation, ...at });
  }),
  conv2dInputGrad: cases((kernels, memory, all) => {
    const { x, weight, dy, places: at } = operands(memory, all);
    kernels.conv2dInputGrad({ dy, weight, dx: memory.blank(x.shape), accumulate: false, ...at });
    kernels.conv2dInputGrad({ dy, weight, dx: x, accumulate: true, ...at });
  }),
  conv2dWeightGrad: cases((kernels, memory, all) => {
    const { x, weight, dy, places: at } = operands(memory, all);
    kernels.conv2dWeightGrad({ dy, x, dWeight: memory.blank(weight.shape), accumulate: false, ...at });
    kernels.conv2dWeightGrad({ dy, x, dWeight: weight, accumulate: true, ...at });
  }),
};
