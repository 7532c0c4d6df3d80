import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Activation } from "../../src/backend/functions.ts";
import type { Backend, Matmul, MatmulPrecision } from "../../src/backend/kernels.ts";
import type { InstructionSet } from "../../src/backend/native/index.ts";
import { nativeInstructionSets, openNative } from "../../src/backend/native/index.ts";
import { openReference } from "../../src/backend/reference/index.ts";
import type { View } from "../../src/backend/storage.ts";
import { Random } from "../../src/core/random.ts";
import type { Tolerance } from "../closeness.ts";
import { firstDifference } from "../closeness.ts";
import { guard, Workspace } from "./workspace.ts";

/** A product without its operands, which {@link run} makes. */
interface Product extends Pick<Matmul, "batch" | "m" | "n" | "k" | "transposeA" | "transposeB"> {
  /** One matrix for all pairs. */
  readonly sharesA: boolean;
  readonly sharesB: boolean;
  /** Numbers between one matrix and the next. */
  readonly gap: number;
  readonly finish: Finish;
}

/** What happens to the sums. */
interface Finish {
  readonly accumulate?: boolean;
  readonly bias?: boolean;
  /** A tensor of its own, or `out` itself. */
  readonly residual?: "apart" | "out";
  readonly activation?: Activation;
  readonly keepsPreActivation?: boolean;
}

const precisions: readonly MatmulPrecision[] = ["float32", "bfloat16"];

const finishes = fc.oneof(
  fc.constant<Finish>({ accumulate: true }),
  fc.record<Finish>({ bias: fc.boolean(), residual: fc.constantFrom("apart", "out") }),
  fc.record<Finish>(
    {
      bias: fc.boolean(),
      activation: fc.constantFrom("gelu", "geluTanh", "quickGelu", "relu", "silu", "tanh"),
      keepsPreActivation: fc.boolean(),
    },
    { requiredKeys: [] },
  ),
);

/** Sizes on both sides of what tiles, panels and blocks of k hold in every variant. */
const size = (...edges: readonly number[]): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(0, ...edges));

const products: fc.Arbitrary<Product> = fc.record({
  batch: fc.constantFrom(1, 1, 1, 2, 3, 0),
  m: size(48, 97, 130),
  n: size(64, 65, 150),
  k: size(256, 257, 300, 513),
  transposeA: fc.boolean(),
  transposeB: fc.boolean(),
  sharesA: fc.boolean(),
  sharesB: fc.boolean(),
  gap: fc.constantFrom(0, 0, 5),
  finish: finishes,
});

type Change = (values: Float32Array) => void;

/** Computes a product of normal numbers, changed first; gives all memory that it touched or must not touch. */
async function run(backend: Backend, product: Product, change?: Change): Promise<Float32Array[]> {
  const memory = new Workspace(backend);
  const { batch, m, n, k, sharesA, sharesB, gap, finish, ...transposes } = product;
  const operand = (rows: number, isShared: boolean, seed: number): View => {
    const values = new Random(seed).normal((isShared ? 1 : batch) * (rows * k + gap), 1);
    change?.(values);
    return memory.floats(values);
  };
  const shape = [batch, m, n];
  const isRead = finish.accumulate || finish.residual === "out";
  const out = isRead ? memory.normal(shape, 3) : memory.blank(shape);
  const apart = finish.residual === "apart" ? memory.normal(shape, 5) : null;
  backend.kernels.matmul({
    ...{ a: operand(m, sharesA, 1), b: operand(n, sharesB, 2), out, batch, m, n, k, ...transposes },
    batchStrideA: sharesA ? 0 : m * k + gap,
    batchStrideB: sharesB ? 0 : n * k + gap,
    accumulate: finish.accumulate ?? false,
    bias: finish.bias ? memory.normal([n], 4) : null,
    residual: finish.residual === "out" ? out : apart,
    activation: finish.activation ?? null,
    preActivation: finish.keepsPreActivation ? memory.blank(shape) : null,
  });
  const contents = (await memory.contents()) as Float32Array[];
  memory.release();
  return contents;
}

/** Fails unless every variant gives what the reference gives, and the same bits on one thread as on two and on three. */
async function expectConforms(instructionSet: InstructionSet, matmulPrecision: MatmulPrecision, product: Product) {
  const expected = await run(openReference({ matmulPrecision }), product);
  const [single, ...others] = await Promise.all(
    [1, 2, 3].map((threads) => run(native(instructionSet, matmulPrecision, threads), product)),
  );
  expect(differences(single!, expected, roomFor(product))).toEqual([]);
  for (const other of others)
    expect(other.map((values) => bits(values))).toEqual(single!.map((values) => bits(values)));
}

/** Only numbers that bfloat16 has: the upper halves of floats. */
function roundToBfloat16(values: Float32Array): void {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < words.length; i++) words[i]! &= 0xffff0000;
}

/** The product as processors with a matrix unit sum it: native/kernels/square.h says how. */
function inOrderOfSquares({ m, n, k }: Product): Float32Array {
  const [a, b] = [m, n].map((rows, i) => {
    const values = new Random(i + 1).normal(rows * k, 1);
    roundToBfloat16(values);
    return values;
  }) as [Float32Array, Float32Array];
  return Float32Array.from({ length: m * n }, (_, at) => {
    const [row, column] = [Math.floor(at / n), at % n];
    const term = (l: number): number => (l < k ? a[row * k + l]! * b[column * k + l]! : 0);
    let sum = 0;
    for (let start = 0; start < k; start += 32) {
      let [first, second] = [0, 0];
      for (let l = start; l < start + 32; l += 2) {
        first = Math.fround(first + term(l));
        second = Math.fround(second + term(l + 1));
      }
      sum = Math.fround(sum + Math.fround(first + second));
    }
    return sum;
  });
}

function native(instructionSet: InstructionSet, matmulPrecision: MatmulPrecision, threads: number): Backend {
  const { backend } = openNative({ threads, instructionSet, matmulPrecision });
  if (!backend) throw new Error("the native backend is not built");
  return backend;
}

/** Sums of k products of normal numbers: each addition rounds a sum of about √k to float32. */
function roomFor({ k }: Product): Tolerance {
  return { absolute: 3e-7 * (k + 16), relative: 1e-5 };
}

function differences(actual: readonly Float32Array[], expected: readonly Float32Array[], room: Tolerance): string[] {
  return expected.flatMap((values, i) => {
    const difference = firstDifference(actual[i]!, values, room);
    return difference === null ? [] : [`operand ${i}: ${difference}`];
  });
}

function bits(values: Float32Array): string {
  return createHash("sha256").update(values).digest("hex");
}

const plain: Product = {
  ...{ batch: 1, m: 5, n: 7, k: 9, transposeA: false, transposeB: false },
  ...{ sharesA: false, sharesB: false, gap: 0, finish: {} },
};

/** Every way of storing both operands. */
const layouts = [false, true].flatMap((transposeA) => [false, true].map((transposeB) => ({ transposeA, transposeB })));

describe.each(nativeInstructionSets())("%s", (instructionSet) => {
  describe.each(precisions)("%s", (precision) => {
    test("any product, as the reference", async () => {
      await fc.assert(
        fc.asyncProperty(products, (product) => expectConforms(instructionSet, precision, product)),
        { numRuns: 25 },
      );
    });

    test.each(layouts)("products large enough to be cut up for threads %o", async (layout) => {
      for (const [m, n, k] of [
        [300, 90, 530],
        [70, 450, 300],
        [3, 2500, 130],
      ] as const) {
        await expectConforms(instructionSet, precision, { ...plain, ...layout, m, n, k, finish: { bias: true } });
      }
    });

    test.each([1, 2, 3, 4, 5, 6, 7, 8])("%i rows", async (m) => {
      for (const layout of layouts) {
        for (const k of [1, 19, 100])
          await expectConforms(instructionSet, precision, { ...plain, ...layout, m, n: 50, k });
      }
    });

    test("many small pairs", async () => {
      const pairs = { ...plain, batch: 70, m: 20, n: 30, k: 40 };
      await expectConforms(instructionSet, precision, { ...pairs, transposeB: true });
      await expectConforms(instructionSet, precision, { ...pairs, sharesB: true, finish: { accumulate: true } });
    });

    test.runIf(instructionSet === "avx512amx" && precision === "bfloat16")("sums in the order of squares", async () => {
      const product = { ...plain, m: 20, n: 18, k: 1100, transposeB: true };
      const [out] = await run(native(instructionSet, precision, 2), product, roundToBfloat16);
      const expected = inOrderOfSquares(product);
      expect([...out!].filter((value) => value !== guard)).toEqual([...expected]);
    });

    test.each([1, 40])("NaN and infinities in %i rows go where the reference says", async (m) => {
      const hostile: Change = (values) => {
        values[values.length >> 1] = Number.NaN;
        values[3] = Number.POSITIVE_INFINITY;
        values[values.length - 1] = Number.NEGATIVE_INFINITY;
      };
      for (const activation of [null, "gelu", "geluTanh", "quickGelu", "relu", "silu", "tanh"] as const) {
        const product = { ...plain, m, n: 37, k: 33, finish: activation ? { activation } : {} };
        const actual = await run(native(instructionSet, precision, 2), product, hostile);
        const expected = await run(openReference({ matmulPrecision: precision }), product, hostile);
        expect(differences(actual, expected, roomFor(product))).toEqual([]);
        expect(actual[0]!.some(Number.isNaN)).toBe(true);
      }
    });
  });
});
