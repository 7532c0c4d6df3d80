import { describe, expect, test } from "vitest";
import type { Backend, Matmul, MatmulPrecision } from "../../src/backend/kernels.ts";
import { nativeInstructionSets } from "../../src/backend/native/index.ts";
import { openReference } from "../../src/backend/reference/index.ts";
import type { View, WeightFormatName } from "../../src/backend/storage.ts";
import { weightFormats } from "../../src/backend/weight-formats.ts";
import { ShapeError, StemmaError, UnsupportedError } from "../../src/core/errors.ts";
import { superBlock } from "../../src/core/k-decoding.ts";
import { Random } from "../../src/core/random.ts";
import { expectConforms, native } from "./compare.ts";
import type { Case } from "./workspace.ts";
import { Workspace } from "./workspace.ts";

const formats = Object.keys(weightFormats) as WeightFormatName[];
const precisions: readonly MatmulPrecision[] = ["float32", "bfloat16"];

type Sizes = Pick<Matmul, "m" | "n" | "k"> & Partial<Pick<Matmul, "batch" | "transposeA" | "accumulate">>;

/** Few and many rows; k within a block, between and beyond blocks of the packed products, and rows that end oddly. */
const sizes: readonly Sizes[] = [
  ...[1, 2, 3, 4, 5, 8, 9, 40].map((m) => ({ m, n: 96, k: 160 })),
  { m: 1, n: 32, k: 32 },
  { m: 1, n: 1600, k: 96 },
  { m: 3, n: 96, k: 1056 },
  { m: 50, n: 160, k: 928 },
  { m: 4, n: 64, k: 96, transposeA: true },
  { m: 50, n: 64, k: 288, transposeA: true },
  { m: 1, n: 64, k: 96, accumulate: true },
  { m: 30, n: 64, k: 96, accumulate: true },
  { m: 2, n: 32, k: 64, batch: 3 },
];

/**
 * The same for blocks of 256, of which there are few. What is stored in rows of the other operand is whole blocks too.
 */
const sizesOfLongBlocks: readonly Sizes[] = [
  ...[1, 3, 4, 8, 9, 40].map((m) => ({ m, n: 256, k: 512 })),
  { m: 1, n: 256, k: 256, accumulate: true },
  { m: 2, n: 256, k: 768, transposeA: true },
  { m: 2, n: 256, k: 256, batch: 2 },
];

/** All sizes for one format of each kind, some for their relatives, which differ in how a block is read and in nothing else. */
function sizesOf(format: WeightFormatName, precision: MatmulPrecision): readonly Sizes[] {
  const all = weightFormats[format].block === superBlock ? sizesOfLongBlocks : sizes;
  if (precision === "bfloat16") return all.filter(({ m }) => m === 3 || m === 9);
  if (["bfloat16", "q8_0", "q6_k"].includes(format)) return all;
  return all.filter(({ m, k }) => k > 32 && [1, 4, 40].includes(m));
}

/** A product with weights as what they decode to. Each addition rounds a sum of about 80 √k. */
function productCase(format: WeightFormatName, matmulPrecision: MatmulPrecision, transposeB: boolean, of: Sizes): Case {
  const { m, n, k, batch = 1, transposeA = false, accumulate = false } = of;
  return {
    name: JSON.stringify(of),
    tolerance: { absolute: 2e-5 * (k + 16), relative: 1e-5 },
    matmulPrecision,
    run(kernels, memory) {
      const b = memory.weights(format, [batch, k, n], 2);
      const out = accumulate ? memory.normal([batch, m, n], 3) : memory.blank([batch, m, n]);
      const a = transposeA ? transposed(memory, m, k) : memory.wholeNumbers([batch, m, k], 1);
      kernels.matmul({
        ...{ a, b, out, batch, m, n, k, transposeA, transposeB, accumulate },
        ...{ batchStrideA: m * k, batchStrideB: n * k },
        bias: accumulate ? null : memory.normal([n], 4),
      });
    },
  };
}

/**
 * The same with rows that are rounded. Backends round alike and multiply integers exactly: what is left is that float32
 * adds the blocks' sums, of a hundred in all.
 */
function roundedCase(format: WeightFormatName, of: Sizes): Case {
  const { m, n, k, batch = 1, transposeA = false, accumulate = false } = of;
  return {
    name: `rounded: ${JSON.stringify(of)}`,
    tolerance: { absolute: 1e-4, relative: 1e-5 },
    run(kernels, memory) {
      const [a, b] = [memory.normal([batch, m * k], 1), memory.weights(format, [batch, n, k], 2)];
      const out = accumulate ? memory.normal([batch, m, n], 3) : memory.blank([batch, m, n]);
      const finish = { bias: memory.normal([n], 4), residual: memory.normal([batch, m, n], 5) };
      kernels.matmul({
        ...{ a, b, out, batch, m, n, k, transposeA, transposeB: true, accumulate, roundsRows: true },
        ...{ batchStrideA: m * k, batchStrideB: n * k },
        ...(accumulate ? {} : finish),
      });
    },
  };
}

/** Rows of whole numbers, stored as columns. */
function transposed(memory: Workspace, m: number, k: number): View {
  const values = new Random(1).normal(m * k, 40).map((value) => Math.max(-127, Math.min(127, Math.round(value))));
  for (let at = 0; at < k; at += 32) values.fill(127, at * m, at * m + m);
  return memory.floats(values, [k, m]);
}

/** Made once, so that the reference computes each of them once. */
const productCases = formats.flatMap((format) =>
  precisions.map((precision) => ({
    ...{ format, precision },
    cases: [true, false].flatMap((transposeB) =>
      sizesOf(format, precision).map((of) => productCase(format, precision, transposeB, of)),
    ),
  })),
);

const roundedCases = formats
  .filter((format) => weightFormats[format].block > 1)
  .map((format) => ({ format, cases: sizesOf(format, "float32").map((of) => roundedCase(format, of)) }));

/** Products of rows with their group's matrix, and what flows back to the rows. */
function groupedCase(format: WeightFormatName): Case {
  return {
    name: "groups of rows",
    tolerance: { absolute: 5e-3, relative: 1e-5 },
    run(kernels, memory) {
      const groupOf = memory.ids([0, 0, 0, 2, ...new Array<number>(20).fill(3)]);
      const k = weightFormats[format].block === superBlock ? 256 : 96;
      const weight = memory.weights(format, [4, 64, k], 2);
      const [x, dy] = [memory.wholeNumbers([24, k], 1), memory.normal([24, 64], 3)];
      kernels.groupedLinear({ x, weight, groupOf, out: memory.blank([24, 64]) });
      kernels.groupedLinear({ x, weight, groupOf, out: memory.blank([24, 64]), roundsRows: true });
      kernels.groupedLinearGrad({ x, weight, groupOf, dy, dx: memory.blank([24, k]), dWeight: null });
    },
  };
}

const groupedCases = formats.map((format) => [format, groupedCase(format)] as const);

describe.each(nativeInstructionSets())("%s", (instructionSet) => {
  test.each(productCases)("products with $format in $precision", async ({ cases }) => {
    for (const one of cases) await expectConforms(instructionSet, one);
  });

  test.each(roundedCases)("rows are rounded to bytes before $format", async ({ cases }) => {
    for (const one of cases) await expectConforms(instructionSet, one);
  });

  test("a rounded row gives the same bits alone as among others, and what is no number stays none", async () => {
    for (const { format } of roundedCases) {
      const backend = native(instructionSet);
      const memory = new Workspace(backend);
      const [rows, n, k] = [37, 48, 512];
      const [a, b] = [memory.normal([rows, k], 1), memory.weights(format, [n, k], 2)];
      const plain = { batch: 1, n, k, transposeA: false, transposeB: true, batchStrideA: 0, batchStrideB: 0 };
      const product = async (m: number, of: View): Promise<Float32Array> => {
        const out = memory.blank([m, n]);
        backend.kernels.matmul({ ...plain, a: of, b, out, m, roundsRows: true });
        return (await backend.read(out.storage, out.offset, m * n)) as Float32Array;
      };
      const all = await product(rows, a);
      for (const [first, m] of [
        [0, 1],
        [8, 2],
        [20, 3],
        [30, 7],
      ] as const) {
        const some = await product(m, { ...a, offset: a.offset + first * k });
        expect([...some], `${m} rows of ${format}`).toEqual([...all.subarray(first * n, (first + m) * n)]);
      }
      const damaged = memory.floats(new Float32Array(k).fill(Number.POSITIVE_INFINITY, 300, 301));
      expect((await product(1, damaged)).every(Number.isNaN)).toBe(true);
      memory.release();
    }
  });

  test.each(groupedCases)("grouped products with %s", (_, one) => expectConforms(instructionSet, one));
});

const places: readonly (readonly [string, () => Backend])[] = [
  ["reference", () => openReference()],
  ["native", () => native()],
];

describe.each(places)("%s", (_, open) => {
  test.each(formats)("%s is no operand of other kernels", (format) => {
    const backend = open();
    const memory = new Workspace(backend);
    const [weights, x] = [memory.weights(format, [256], 1), memory.blank([256])];
    const plain = {
      batch: 1,
      m: 1,
      n: 1,
      k: 256,
      transposeA: false,
      transposeB: true,
      batchStrideA: 0,
      batchStrideB: 0,
    };
    for (const call of [
      () => backend.kernels.affine(weights, 1, 0, x),
      () => backend.kernels.fill(weights, 0),
      () => backend.kernels.sum(weights, 1, 256, 1, x),
      () => backend.kernels.matmul({ ...plain, a: weights, b: x, out: memory.blank([1]) }),
      () => backend.kernels.matmul({ ...plain, a: x, b: x, out: weights }),
    ]) {
      expect(call).toThrow(UnsupportedError);
    }
    memory.release();
  });

  test("memory of a format is whole blocks, written as bytes of its own", () => {
    const backend = open();
    expect(() => backend.allocate("q8_0", 33)).toThrow(ShapeError);
    const storage = backend.allocate("q8_0", 64);
    expect(() => backend.write(storage, 0, new Float32Array(32))).toThrow(ShapeError);
    expect(() => backend.write(storage, 0, new Uint8Array(33))).toThrow(ShapeError);
    backend.release(storage);
  });
});

test("the addon refuses what lies beyond the memory of a format, or between its blocks", () => {
  const { kernels, ...backend } = native();
  const memory = new Workspace({ ...backend, kernels });
  const { storage } = memory.weights("q4_0", [4, 32], 1);
  const x = memory.normal([1, 64], 2);
  const plain = { a: x, batch: 1, m: 1, transposeA: false, transposeB: true, batchStrideA: 0, batchStrideB: 0 };
  const product = (offset: number, n: number, k: number): void =>
    kernels.matmul({ ...plain, b: { storage, offset, shape: [n, k] }, out: memory.blank([n]), n, k });
  expect(() => product(0, 9, 32)).toThrow(StemmaError);
  expect(() => product(32, 8, 32)).toThrow(/needs 256 elements but its storage has 224/);
  expect(() => product(16, 1, 32)).toThrow(/within a block/);
  expect(() => product(0, 4, 16)).toThrow(/no whole blocks/);
  expect(() => backend.write(storage, 224, new Uint8Array(36))).toThrow(/needs 64 elements/);
  memory.release();
});
