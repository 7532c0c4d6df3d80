import type { BinaryKind, UnaryKind } from "../../../src/backend/functions.ts";
import type { Shape } from "../../../src/core/shape.ts";
import type { Case, CasesOf } from "../workspace.ts";

/** Nothing, tails of every vector length, whole vectors, and more than one thread takes. */
const lengths = [0, 1, 7, 16, 33, 20_003];

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
const extremes = [0, -0, 1, -1, 1e-40, -1e-40, 1e-30, 88.5, -88.5, 104, -104, 1e10, -1e10, nan];
const limits = [infinity, -infinity];

const unaryKinds: readonly UnaryKind[] = [
  ...(["abs", "cos", "exp", "gelu", "geluTanh", "log", "logSigmoid"] as const),
  ...(["quickGelu", "relu", "rsqrt", "sigmoid", "silu", "sin", "sqrt", "square", "tanh"] as const),
];

const binaryKinds: readonly BinaryKind[] = [
  ...(["add", "sub", "mul", "div", "maximum", "minimum", "greater", "greaterEqual", "equal"] as const),
];

/** Shapes of two operands and of what they broadcast to. */
const broadcasts: readonly (readonly [a: Shape, b: Shape, out: Shape])[] = [
  [
    [3, 5],
    [3, 5],
    [3, 5],
  ],
  [[3, 5], [5], [3, 5]],
  [[5], [3, 5], [3, 5]],
  [
    [3, 1],
    [1, 5],
    [3, 5],
  ],
  [[3, 5], [], [3, 5]],
  [[], [3, 5], [3, 5]],
  [[], [], []],
  [
    [2, 1, 4],
    [3, 1],
    [2, 3, 4],
  ],
  [
    [2, 3, 1, 4],
    [3, 5, 1],
    [2, 3, 5, 4],
  ],
  [
    [200, 301],
    [200, 1],
    [200, 301],
  ],
  [
    [1, 301],
    [200, 301],
    [200, 301],
  ],
  [[0, 3], [3], [0, 3]],
  [
    [1, 2, 1, 2, 1, 2, 1, 2],
    [2, 1, 2, 1, 2, 1, 2, 1],
    [2, 2, 2, 2, 2, 2, 2, 2],
  ],
];

export const elementwiseCases: CasesOf<
  "fill" | "affine" | "accumulate" | "select" | "normal" | "dropout" | "binary" | "unary" | "unaryGrad"
> = {
  fill: [
    {
      name: "every length",
      run(kernels, memory) {
        for (const n of lengths) kernels.fill(memory.blank([n]), n / 7);
        kernels.fill(memory.blank([]), nan);
      },
    },
  ],
  affine: [
    {
      name: "every length",
      run(kernels, memory) {
        for (const n of lengths) kernels.affine(memory.normal([n], n + 1), -1.5, 0.25, memory.blank([n]));
      },
    },
    {
      name: "in place, and copying",
      run(kernels, memory) {
        const x = memory.floats([...extremes, ...limits]);
        kernels.affine(x, 1, 0, x);
        kernels.affine(x, 1, 0, memory.blank([x.shape[0]!]));
        kernels.affine(x, 2, 1, x);
      },
    },
  ],
  accumulate: lengths.map((n) => ({
    name: `${n} elements`,
    run(kernels, memory) {
      const out = memory.normal([n], 1);
      kernels.accumulate(memory.normal([n], 2), out);
      kernels.accumulate(out, out);
    },
  })),
  select: [
    {
      name: "every length, NaN in what is not chosen",
      run(kernels, memory) {
        for (const n of lengths) {
          const condition = memory.floats(Array.from({ length: n }, (_, i) => [0, 1, -0, nan, -2][i % 5]!));
          const b = memory.floats(Array.from({ length: n }, (_, i) => (i % 3 === 0 ? nan : i)));
          kernels.select(condition, memory.normal([n], 1), b, memory.blank([n]));
          kernels.select(condition, condition, b, b);
        }
      },
    },
  ],
  normal: [
    {
      name: "every length",
      run(kernels, memory) {
        for (const n of lengths) {
          kernels.normal({ key: [0xdeadbeef, n], stream: 4294967295 }, memory.blank([n]));
        }
      },
    },
  ],
  dropout: [0, 0.1, 0.5, 0.999].map((rate) => ({
    name: `rate ${rate}`,
    run(kernels, memory) {
      for (const n of lengths) {
        const x = memory.normal([n], n + 1);
        kernels.dropout(x, rate, { key: [0xdeadbeef, 7], stream: 4294967295 }, memory.blank([n]));
        kernels.dropout(x, rate, { key: [1, 0xffffffff], stream: n }, x);
      }
    },
  })),
  binary: binaryKinds.flatMap((kind): Case[] => [
    {
      name: `${kind}, broadcasting`,
      run(kernels, memory) {
        for (const [a, b, out] of broadcasts) {
          kernels.binary(kind, memory.normal(a, 1), memory.normal(b, 2), memory.blank(out));
        }
      },
    },
    {
      name: `${kind} of extremes`,
      run(kernels, memory) {
        const values = [...extremes, ...limits];
        const n = values.length;
        const square: Shape = [n, n];
        kernels.binary(kind, memory.floats(values, [n, 1]), memory.floats(values), memory.blank(square));
      },
    },
    {
      name: `${kind} in place`,
      run(kernels, memory) {
        const [a, b] = [memory.normal([20_001], 3), memory.normal([20_001], 4)];
        kernels.binary(kind, a, b, a);
        kernels.binary(kind, a, b, b);
        kernels.binary(kind, a, memory.floats([1], []), a);
        kernels.binary(kind, a, memory.floats([-2], [1]), a);
        kernels.binary(kind, a, a, a);
      },
    },
  ]),
  unary: unaryKinds.flatMap((kind): Case[] => [
    {
      name: `${kind}, every length and in place`,
      run(kernels, memory) {
        for (const n of lengths) {
          const x = memory.normal([n], n + 1, 3);
          kernels.unary(kind, x, memory.blank([n]));
          kernels.unary(kind, x, x);
        }
      },
    },
    {
      name: `${kind} of extremes`,
      run(kernels, memory) {
        const values = [...extremes, ...limits];
        kernels.unary(kind, memory.floats(values), memory.blank([values.length]));
      },
    },
  ]),
  unaryGrad: unaryKinds.flatMap((kind): Case[] => [
    {
      name: `${kind}, every length and in place`,
      run(kernels, memory) {
        for (const n of lengths) {
          const [x, dy] = [memory.normal([n], n + 1, 3), memory.normal([n], n + 2)];
          kernels.unaryGrad(kind, x, dy, memory.blank([n]));
          kernels.unaryGrad(kind, x, dy, dy);
          kernels.unaryGrad(kind, x, dy, x);
        }
      },
    },
    {
      name: `${kind} of extremes`,
      run(kernels, memory) {
        const [x, dy] = [memory.floats(extremes), memory.normal([extremes.length], 1)];
        kernels.unaryGrad(kind, x, dy, memory.blank([extremes.length]));
      },
    },
  ]),
};
