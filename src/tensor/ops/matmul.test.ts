import { describe, expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { exact, leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import type { Activation } from "../../backend/functions.ts";
import { openReference } from "../../backend/reference/index.ts";
import { ShapeError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import { functionGradientGap, gradientGap } from "../check-op.ts";
import { apply } from "../op.ts";
import { Tensor } from "../tensor.ts";
import { adaptedLinear, linear, matmul } from "./matmul.ts";

const transposes = [
  { transposeA: false, transposeB: false },
  { transposeA: false, transposeB: true },
  { transposeA: true, transposeB: false },
  { transposeA: true, transposeB: true },
];

/** Leading axes of the two operands. */
const leads: [Shape, Shape][] = [
  [[], []],
  [[2], []],
  [[], [2]],
  [[2], [2]],
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], []],
  [[1], [1]],
];

const shapes = ([a, b]: [Shape, Shape], { transposeA, transposeB }: (typeof transposes)[number]): [Shape, Shape] => [
  [...a, ...(transposeA ? [3, 2] : [2, 3])],
  [...b, ...(transposeB ? [4, 3] : [3, 4])],
];

describe("matmul", () => {
  const a = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
  const b = tensor([1, 0, 0, 1, 2, 2], [3, 2]);

  test("values", async () => {
    expectClose(await read(a.matmul(b)), [7, 8, 16, 17]);
    expectClose(await read(a.matmul(a, { transposeB: true })), [14, 32, 32, 77]);
    expectClose(await read(a.matmul(a, { transposeA: true })), [17, 22, 27, 22, 29, 36, 27, 36, 45]);
    expectClose(await read(b.matmul(a, { transposeA: true, transposeB: true })), [7, 16, 8, 17]);
  });

  test("one matrix serves all matrices of the other operand", async () => {
    const many = tensor([1, 2, 3, 4, 5, 6, 1, 0, 0, 0, 1, 0], [2, 2, 3]);
    expectClose(await read(many.matmul(b)), [7, 8, 16, 17, 1, 0, 0, 1]);
    expect(many.matmul(b).shape).toEqual([2, 2, 2]);
  });

  describe.each(transposes)("%o", (attrs) => {
    test.each(leads)("gradients with leading axes %j and %j", async (...lead) => {
      const [shapeA, shapeB] = shapes(lead, attrs);
      expect(await gradientGap(matmul, [randomTensor(shapeA, 1), randomTensor(shapeB, 2)], attrs)).toBeLessThan(1e-8);
    });

    test("the product of a matrix with itself", async () => {
      const x = randomTensor([2, 3, 3]);
      expect(await functionGradientGap(() => x.matmul(x, attrs), [x])).toBeLessThan(1e-8);
    });

    test("gradients are added to what has reached an operand already", async () => {
      const [shapeA, shapeB] = shapes([[2], []], attrs);
      const [x, y] = [randomTensor(shapeA, 1), randomTensor(shapeB, 2)];
      const twice = (): Tensor => x.matmul(y, attrs).add(x.mul(2).matmul(y, attrs)).add(y.sum());
      expect(await functionGradientGap(twice, [x, y])).toBeLessThan(1e-8);
    });
  });

  test("an inner size of 0 gives zeros", async () => {
    expect(await read(tensor([], [2, 0]).matmul(tensor([], [0, 3])))).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test("bfloat16 rounds operands to 8 bits, ties to even, and nothing else", async () => {
    const backend = openReference({ matmulPrecision: "bfloat16" });
    const x = Tensor.from(backend, [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -16, 3.0e38], [4, 1]);
    const one = Tensor.from(backend, [1], [1, 1]);
    const rounded = [1, 1 + 2 ** -6, 1 + 2 ** -7, 226 * 2 ** 120];
    expectClose(await read(x.matmul(one)), rounded, { absolute: 0, relative: 1e-7 });
    expectClose(await read(x.mul(one)), [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -16, Math.fround(3e38)]);
  });

  test.each<[Shape, Shape, string]>([
    [[2, 3], [2, 3], "matmul: inner sizes differ (3 and 2): a is [2, 3], b is [2, 3]"],
    [[3], [3, 2], "matmul: both operands need at least 2 axes: a is [3], b is [3, 2]"],
    [[2, 2, 3], [3, 3, 2], "matmul: leading axes differ: a is [2, 2, 3], b is [3, 3, 2]"],
  ])("%j with %j does not fit", (shapeA, shapeB, message) => {
    expect(() => randomTensor(shapeA).matmul(randomTensor(shapeB))).toThrow(new ShapeError(message));
  });

  test("messages mark transposed operands", () => {
    expect(() => a.matmul(b, { transposeB: true })).toThrow(/a is \[2, 3\], b is \[3, 2\]ᵀ/);
  });
});

describe("linear", () => {
  const [x, weight, bias] = [randomTensor([2, 3, 4], 1), randomTensor([5, 4], 2), randomTensor([5], 3)];
  const residual = randomTensor([2, 3, 5], 4);
  const activations: Activation[] = ["gelu", "geluTanh", "quickGelu", "relu", "silu", "tanh"];

  test("values", async () => {
    const operands = [tensor([1, 2], [1, 2]), tensor([3, 4, 5, 6], [2, 2]), tensor([0.5, -30])] as const;
    expectClose(await read(apply(linear, [...operands, null], { activation: null })), [11.5, -13]);
    expectClose(await read(apply(linear, [...operands, null], { activation: "relu" })), [11.5, 0]);
    const sum = apply(linear, [...operands, tensor([1, 1], [1, 2])], { activation: null });
    expectClose(await read(sum), [12.5, -12]);
  });

  test("is the same as its parts", async () => {
    const parts = x.matmul(weight, { transposeB: true }).add(bias);
    expectClose(
      await read(apply(linear, [x, weight, bias, residual], { activation: null })),
      await read(parts.add(residual)),
    );
    for (const activation of activations) {
      expectClose(
        await read(apply(linear, [x, weight, bias, null], { activation })),
        await read(parts.map(activation)),
      );
    }
  });

  test.each([
    ["nothing", null, null],
    ["a bias", bias, null],
    ["a residual", null, residual],
    ["both", bias, residual],
  ])("gradients with %s", async (_, b, r) => {
    expect(await gradientGap(linear, [x, weight, b, r], { activation: null })).toBeLessThan(1e-8);
  });

  test.each(activations)("gradients with %s", async (activation) => {
    expect(await gradientGap(linear, [x, weight, bias, null], { activation })).toBeLessThan(1e-8);
    expect(await gradientGap(linear, [x, weight, null, null], { activation })).toBeLessThan(1e-8);
  });

  test("gradients when the input is its own residual, and a weight is used twice", async () => {
    const square = randomTensor([4, 4], 5);
    const body = (): Tensor => {
      const once = apply(linear, [x, square, null, x], { activation: null });
      return apply(linear, [once, square, null, once], { activation: null });
    };
    expect(await functionGradientGap(body, [x, square])).toBeLessThan(1e-8);
  });

  test("only what is trained gets a gradient", async () => {
    const frozen = randomTensor([3, 4], 6);
    const [w, b] = [leaf(randomTensor([2, 4], 7)), randomTensor([2], 8)];
    apply(linear, [frozen, w, b, null], { activation: "gelu" }).sum().backward();
    expect([frozen.grad, b.grad]).toEqual([null, null]);
    expect(w.grad?.shape).toEqual([2, 4]);
  });

  test.each<[string, Shape, Shape, Shape | null, Shape | null]>([
    ["linear: x [2, 3] does not fit weight [5, 4]", [2, 3], [5, 4], null, null],
    ["linear: x [4] does not fit weight [4]", [4], [4], null, null],
    ["linear: bias [4] does not fit weight [5, 4]", [2, 4], [5, 4], [4], null],
    ["linear: residual [2, 4] must be [2, 5]", [2, 4], [5, 4], [5], [2, 4]],
  ])("%s", (message, shape, w, b, r) => {
    const some = (s: Shape | null): Tensor | null => s && randomTensor(s);
    expect(() => apply(linear, [randomTensor(shape), randomTensor(w), some(b), some(r)], { activation: null })).toThrow(
      new ShapeError(message),
    );
  });

  test("an activation and a residual exclude each other", () => {
    expect(() => apply(linear, [x, weight, bias, residual], { activation: "gelu" })).toThrow(
      new ShapeError("linear: an activation and a residual exclude each other, got gelu and [2, 3, 5]"),
    );
  });
});

describe("adaptedLinear", () => {
  const [x, weight, bias] = [randomTensor([2, 3, 4], 1), randomTensor([5, 4], 2), randomTensor([5], 3)];
  const [residual, low, up] = [randomTensor([2, 3, 5], 4), randomTensor([2, 3, 2], 5), randomTensor([5, 2], 6)];
  const plain = { activation: null };

  test("is the same as its parts", async () => {
    const change = low.matmul(up, { transposeB: true });
    expectClose(
      await read(apply(adaptedLinear, [x, weight, bias, residual, low, up], plain)),
      await read(apply(linear, [x, weight, bias, residual], plain).add(change)),
    );
    expectClose(
      await read(apply(adaptedLinear, [x, weight, null, null, low, up], { activation: "gelu" })),
      await read(apply(linear, [x, weight, null, change], plain).map("gelu")),
    );
  });

  test.each([
    ["a bias and a residual", bias, residual, null],
    ["an activation", null, null, "silu" as const],
  ])("gradients with %s", async (_, b, r, activation) => {
    expect(await gradientGap(adaptedLinear, [x, weight, b, r, low, up], { activation })).toBeLessThan(1e-8);
  });

  test.each<[Shape, Shape]>([
    [
      [2, 3, 2],
      [5, 3],
    ],
    [
      [3, 2],
      [5, 2],
    ],
    [
      [2, 3, 2],
      [4, 2],
    ],
  ])("low %j and up %j do not fit", (ofLow, ofUp) => {
    const inputs = [x, weight, bias, null, randomTensor(ofLow), randomTensor(ofUp)] as const;
    expect(() => apply(adaptedLinear, [...inputs], plain)).toThrow(/^adaptedLinear: low .* do not fit x \[2, 3, 4\]/);
  });
});

test("operands of two backends", () => {
  const elsewhere = { ...exact, allocate: () => ({ dtype: "float32" as const, length: 4 }) };
  const stranger = new Tensor(exact, elsewhere.allocate(), [2, 2]);
  expect(() => randomTensor([2, 2]).matmul(stranger)).toThrow(/another backend/);
});
