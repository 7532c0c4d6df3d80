import type { Activation } from "../../../src/backend/functions.ts";
import type { View } from "../../../src/backend/storage.ts";
import type { CasesOf } from "../workspace.ts";

const activations: readonly Activation[] = ["gelu", "geluTanh", "quickGelu", "relu", "silu", "tanh"];

export const otherCases: CasesOf<"globalNorm" | "adamw" | "average" | "rotary" | "gatedUnit" | "gatedUnitGrad"> = {
  globalNorm: [
    {
      name: "of views of every size",
      run(kernels, memory) {
        const views = [0, 1, 17, 8192, 20_003].map((n) => memory.normal([n], n + 1));
        kernels.globalNorm(views, memory.blank([1]));
        kernels.globalNorm([], memory.blank([1]));
        kernels.globalNorm([memory.normal([3, 5], 1)], memory.blank([]));
      },
    },
    {
      name: "with NaN",
      run: (kernels, memory) => kernels.globalNorm([memory.floats([1, Number.NaN])], memory.blank([1])),
    },
  ],
  adamw: [
    {
      name: "three steps of parameters of every size, with and without decay",
      run(kernels, memory) {
        const lengths = [0, 1, 17, 16_384, 20_003];
        const normal = (seed: number, scale: number): View[] => lengths.map((n) => memory.normal([n], n + seed, scale));
        const zeros = (): View[] => lengths.map((n) => memory.floats(new Float32Array(n)));
        const parameters = normal(1, 1);
        const [firstMoments, secondMoments] = [zeros(), zeros()];
        const weightDecays = lengths.map((_, i) => (i % 2) * 0.1);
        const constants = { learningRate: 3e-3, beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
        for (const step of [1, 2, 3]) {
          const [gradients, gradientScale] = [normal(10 * step, 0.01), memory.floats([0.5], [])];
          const rateScales = step === 2 ? memory.floats([1, 0, 0.5, 1e-3, 2]) : null;
          const tensors = { parameters, gradients, firstMoments, secondMoments, weightDecays, gradientScale };
          kernels.adamw({ ...tensors, ...constants, rateScales, step });
        }
      },
    },
    {
      name: "no parameters, and a late step",
      run(kernels, memory) {
        const constants = {
          learningRate: 1e-3,
          beta1: 0.9,
          beta2: 0.999,
          epsilon: 1e-6,
          gradientScale: memory.floats([1]),
          rateScales: null,
        };
        const none = { parameters: [], gradients: [], firstMoments: [], secondMoments: [], weightDecays: [] };
        kernels.adamw({ ...none, ...constants, step: 1 });
        const one = (seed: number): View[] => [memory.normal([5, 3], seed)];
        const second = [memory.floats(new Float32Array(15).fill(1e-4), [5, 3])];
        const tensors = { parameters: one(1), gradients: one(2), firstMoments: one(3), secondMoments: second };
        kernels.adamw({ ...tensors, weightDecays: [0.01], ...constants, step: 100_000 });
      },
    },
  ],
  average: [
    {
      name: "of parameters of every size",
      run(kernels, memory) {
        const lengths = [0, 1, 17, 16_384, 20_003];
        const normal = (seed: number): View[] => lengths.map((n) => memory.normal([n], n + seed));
        kernels.average({ averages: normal(1), parameters: normal(2), decay: 0.999 });
        kernels.average({ averages: [], parameters: [], decay: 0.5 });
      },
    },
  ],
  rotary: [false, true].map((inverse) => ({
    name: inverse ? "backwards" : "forwards, and in place",
    run(kernels, memory) {
      for (const [heads, half, rest] of [
        [1, 1, 0],
        [3, 4, 5],
        [2, 33, 66],
        [0, 2, 4],
      ] as const) {
        const [batch, time, places] = [2, 5, 9];
        const width = heads * 2 * half + rest;
        const x = memory.normal([batch, time, width], 1);
        const tables = { cos: memory.normal([places, half], 2), sin: memory.normal([places, half], 3) };
        kernels.rotary({ x, positions: null, ...tables, heads, inverse, out: memory.blank([batch, time, width]) });
        const positions = memory.ids([8, 0, 1, 1, 2, 3, 4, 5, 6, 7]);
        kernels.rotary({ x, positions, ...tables, heads, inverse, out: memory.blank([batch, time, width]) });
        kernels.rotary({ x, positions, ...tables, heads, inverse, out: x });
      }
    },
  })),
  gatedUnit: activations.map((kind) => ({
    name: kind,
    run(kernels, memory) {
      for (const [rows, width] of [
        [0, 3],
        [1, 1],
        [5, 17],
        [40, 130],
      ] as const) {
        kernels.gatedUnit(kind, memory.normal([rows, 2 * width], 1, 2), memory.blank([rows, width]));
      }
    },
  })),
  gatedUnitGrad: activations.map((kind) => ({
    name: `${kind}, and in place`,
    run(kernels, memory) {
      for (const [rows, width] of [
        [0, 3],
        [1, 1],
        [5, 17],
        [40, 130],
      ] as const) {
        const [x, dy] = [memory.normal([rows, 2 * width], 1, 2), memory.normal([rows, width], 2)];
        kernels.gatedUnitGrad(kind, x, dy, memory.blank([rows, 2 * width]));
        kernels.gatedUnitGrad(kind, x, dy, x);
      }
    },
  })),
};
