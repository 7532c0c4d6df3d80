import { expect, test } from "vitest";
import { ids, leaf, randomTensor, read, tensor } from "../../test/exact.ts";
import { openReference } from "../backend/reference/index.ts";
import { composeGap, gradientGap } from "./check-op.ts";
import type { Op } from "./op.ts";
import { add, mul } from "./ops/elementwise.ts";
import { gatherRows } from "./ops/indexing.ts";
import { rmsNorm } from "./ops/norm.ts";
import { softmax } from "./ops/softmax.ts";

const attrs = { epsilon: 1e-5 };

test.each<[string, typeof softmax]>([
  ["too large by a thousandth", { ...softmax, grad: (dy) => [() => dy.mul(1.001)] }],
  ["of a plain sum, which is 0", { ...softmax, grad: (dy) => [() => dy.mul(0)] }],
  ["missing", { ...softmax, grad: () => [null] }],
  ["not a number", { ...softmax, grad: (dy) => [() => dy.mul(Number.NaN)] }],
])("a gradient that is %s is caught", async (_, wrong) => {
  expect(await gradientGap(wrong, [randomTensor([2, 3])], undefined)).not.toBeLessThan(1e-5);
});

test("swapped gradients are caught", async () => {
  const swapped: typeof mul = { ...mul, grad: (dy, { inputs: [a, b] }) => [() => dy.mul(a), () => dy.mul(b)] };
  expect(await gradientGap(swapped, [randomTensor([2]), randomTensor([2], 2)], undefined)).toBeGreaterThan(1e-3);
});

test("inputs are left as they were", async () => {
  const [x, y] = [leaf(randomTensor([3])), randomTensor([3], 2)];
  x.mul(2).sum().backward();
  const [grad, before] = [x.grad, [await read(x), await read(y)]];
  await gradientGap(add, [x, y], undefined);
  await composeGap(rmsNorm, [x, y], attrs);
  expect([await read(x), await read(y)]).toEqual(before);
  expect([x.grad, x.requiresGrad, y.grad, y.requiresGrad]).toEqual([grad, true, null, false]);
});

test("integers have no gradient to check", async () => {
  expect(await gradientGap(gatherRows, [tensor([1, 2], [2, 1]), ids([0, 1])], undefined)).toBeLessThan(1e-8);
});

test("a compose that differs from its kernel is caught", async () => {
  type Norm = typeof rmsNorm;
  const [x, gain] = [randomTensor([2, 3]), randomTensor([3], 2)];
  const value: Norm = { ...rmsNorm, compose: ([a, b]) => a.mul(b) };
  // The right values with a gradient that stops half-way.
  const slope: Norm = { ...rmsNorm, compose: ([a, b], some) => rmsNorm.compose?.([a.detach(), b], some) ?? a };
  expect(await composeGap(rmsNorm, [x, gain], attrs)).toBeLessThan(1e-12);
  expect(await composeGap(value, [x, gain], attrs)).toBeGreaterThan(1e-3);
  expect(await composeGap(slope, [x, gain], attrs)).toBeGreaterThan(1e-3);
});

test("composeGap needs both sides", async () => {
  const plain = openReference({ precision: "float64", fused: false });
  const operands = [randomTensor([2, 3], 1, plain), randomTensor([3], 2, plain)] as const;
  await expect(composeGap(rmsNorm, [...operands], attrs)).rejects.toThrow(/the backend has no rmsNorm, rmsNormGrad/);
  const simple: Op<[x: (typeof operands)[0]], undefined> = softmax;
  await expect(composeGap(simple, [operands[0]], undefined)).rejects.toThrow(/softmax has no compose/);
});
