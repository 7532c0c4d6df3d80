import { describe, expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import type { UnaryKind } from "../../backend/functions.ts";
import { ShapeError } from "../../core/errors.ts";
import { functionGradientGap, gradientGap } from "../check-op.ts";
import { apply } from "../op.ts";
import { add, affine, div, maximum, minimum, mul, select, sub, unary } from "./elementwise.ts";

describe("values", () => {
  const a = tensor([1, -2, 3, 4], [2, 2]);
  const b = tensor([10, 20]);

  test("two operands of unequal shapes", async () => {
    expectClose(await read(a.add(b)), [11, 18, 13, 24]);
    expectClose(await read(b.sub(a)), [9, 22, 7, 16]);
    expectClose(await read(a.mul(b)), [10, -40, 30, 80]);
    expectClose(await read(b.div(a)), [10, -10, 10 / 3, 5]);
    expectClose(await read(a.maximum(tensor([0, 3.5]))), [1, 3.5, 3, 4]);
    expectClose(await read(a.minimum(tensor([2, 0], [2, 1]))), [1, -2, 0, 0]);
  });

  test("plain numbers", async () => {
    expectClose(await read(a.add(1)), [2, -1, 4, 5]);
    expectClose(await read(a.sub(1)), [0, -3, 2, 3]);
    expectClose(await read(a.mul(3)), [3, -6, 9, 12]);
    expectClose(await read(a.div(4)), [0.25, -0.5, 0.75, 1]);
    expectClose(await read(a.neg()), [-1, 2, -3, -4]);
    expectClose(await read(a.clamp(-1, 3)), [1, -1, 3, 3]);
  });

  test("select takes a where the condition is not 0", async () => {
    const chosen = apply(select, [tensor([1, 0, -1]), tensor([1, 2, 3]), tensor([4, 5, 6])], undefined);
    expectClose(await read(chosen), [1, 5, 3]);
  });

  test.each<[UnaryKind, number, number]>([
    ["abs", -2, 2],
    ["cos", 1, 0.5403023058681398],
    ["exp", 1, Math.E],
    ["gelu", 1, 0.8413447460685429],
    ["gelu", -3, -0.00404969409489],
    ["gelu", -9, -1.015729565358458e-18],
    ["geluTanh", 1, 0.8411919906082768],
    ["geluTanh", -3, -0.0036373920817729943],
    ["quickGelu", 1, 0.845795765932821],
    ["quickGelu", -3, -0.01807130970778597],
    ["log", 2, Math.LN2],
    ["logSigmoid", 0, -Math.LN2],
    ["logSigmoid", -800, -800],
    ["relu", -1, 0],
    ["relu", 2, 2],
    ["rsqrt", 4, 0.5],
    ["sigmoid", 0, 0.5],
    ["sigmoid", -800, 0],
    ["silu", 1, 0.7310585786300049],
    ["sin", 1, 0.8414709848078965],
    ["sqrt", 9, 3],
    ["square", -3, 9],
    ["tanh", 0.5, 0.4621171572600098],
  ])("%s of %d", async (kind, x, y) => {
    expectClose(await read(tensor([x]).map(kind)), [y], { absolute: 0, relative: 1e-13 });
  });
});

describe("errors", () => {
  test("shapes that do not broadcast", () => {
    expect(() => tensor([1, 2, 3]).add(tensor([1, 2]))).toThrow(
      new ShapeError("add: cannot broadcast [3] with [2]: axis 0 is 3 and 2"),
    );
  });

  test("select wants one shape", () => {
    expect(() => apply(select, [tensor([1, 0]), tensor([1, 2]), tensor([1])], undefined)).toThrow(
      new ShapeError("select: condition [2], a [2] and b [1] must have one shape"),
    );
  });
});

const domains: Record<UnaryKind, readonly number[]> = {
  abs: [-2, -0.3, 0.4, 5],
  cos: [-2, 0, 1, 9],
  exp: [-5, 0, 1, 2],
  gelu: [-7, -3, -1, -0.1, 0, 0.2, 1, 2.9, 6],
  geluTanh: [-7, -3, -1, -0.1, 0, 0.2, 1, 2.9, 6],
  log: [0.1, 1, 7],
  logSigmoid: [-50, -2, 0, 2, 50],
  quickGelu: [-7, -3, -1, -0.1, 0, 0.2, 1, 2.9, 6],
  relu: [-2, -0.3, 0.4, 5],
  rsqrt: [0.3, 1, 8],
  sigmoid: [-50, -2, 0, 2, 50],
  silu: [-50, -2, 0, 2, 50],
  sin: [-2, 0, 1, 9],
  sqrt: [0.3, 1, 8],
  square: [-3, 0, 2],
  tanh: [-20, -1, 0, 0.5, 3],
};
test.each(Object.entries(domains))("gradient of %s", async (kind, at) => {
  expect(await gradientGap(unary, [tensor(at)], kind as UnaryKind)).toBeLessThan(1e-8);
});

describe("gradients", () => {
  const shapes = [
    [
      [2, 3],
      [2, 3],
    ],
    [[2, 3], [3]],
    [[3], [2, 3]],
    [
      [2, 1, 3],
      [4, 1],
    ],
    [[1], [2, 2]],
    [[], [3]],
    [[2, 2], []],
  ] as const;
  const ops = { add, sub, mul, div, maximum, minimum };

  describe.each(Object.entries(ops))("%s", (_, op) => {
    test.each(shapes)("%j with %j", async (a, b) => {
      const divisor = randomTensor(b, 2).map("square").add(0.5);
      expect(await gradientGap(op, [randomTensor(a), divisor], undefined)).toBeLessThan(1e-8);
    });

    test("with itself", async () => {
      const x = randomTensor([2, 3]);
      // max(x, x) and min(x, x) are x; central differences see it, since both operands move.
      expect(await functionGradientGap(() => apply(op, [x, x], undefined), [x])).toBeLessThan(1e-8);
    });
  });

  test("affine", async () => {
    expect(await gradientGap(affine, [randomTensor([2, 2])], { scale: -1.5, shift: 2 })).toBeLessThan(1e-8);
  });

  test("select", async () => {
    const operands = [tensor([1, 0, 1, 0]), randomTensor([4], 1), randomTensor([4], 2)] as const;
    expect(await gradientGap(select, [...operands], undefined)).toBeLessThan(1e-8);
  });

  test("the first operand gets the gradient of a tie", async () => {
    for (const op of [maximum, minimum]) {
      const [a, b] = [leaf(tensor([1, 2])), leaf(tensor([1, 2]))];
      apply(op, [a, b], undefined).sum().backward();
      expect([await read(a.grad), await read(b.grad)]).toEqual([
        [1, 1],
        [0, 0],
      ]);
    }
  });

  test("relu has slope 0 at 0, and clamp at and beyond its ends only beyond", async () => {
    const [x, y] = [leaf(tensor([-1, 0, 1])), leaf(tensor([-2, -1, 0, 1, 2]))];
    x.map("relu").sum().backward();
    y.clamp(-1, 1).sum().backward();
    expect(await read(x.grad)).toEqual([0, 0, 1]);
    expect(await read(y.grad)).toEqual([0, 1, 1, 1, 0]);
  });
});
