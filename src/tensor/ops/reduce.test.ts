import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import { ShapeError } from "../../core/errors.ts";
import { functionGradientGap, gradientGap } from "../check-op.ts";
import { max, sum } from "./reduce.ts";

const x = tensor([1, 2, 3, 4, 5, 6], [2, 3]);

test("sums and means over one axis, or over everything", async () => {
  expectClose(await read(x.sum(0)), [5, 7, 9]);
  expectClose(await read(x.sum(-1)), [6, 15]);
  expectClose(await read(x.sum()), [21]);
  expectClose(await read(x.mean(1)), [2, 5]);
  expectClose(await read(x.mean()), [3.5]);
  expect([x.sum(0).shape, x.sum(1, true).shape, x.sum().shape]).toEqual([[3], [2, 1], []]);
});

test("a sum of nothing is 0", async () => {
  expect(await read(tensor([], [0, 2]).sum(0))).toEqual([0, 0]);
});

test("max over an axis, and the place of the first largest", async () => {
  const y = tensor([3, 1, 3, -1, -5, -1], [2, 3]);
  expect(await read(y.max(1))).toEqual([3, -1]);
  expect(await read(y.max(0))).toEqual([3, 1, 3]);
  expect(await read(y.argmax())).toEqual([0, 0]);
  expect(y.argmax().dtype).toBe("int32");
});

test("places are data: no tape leads through them", () => {
  expect(leaf(randomTensor([2, 3])).argmax().requiresGrad).toBe(false);
});

test("an axis that does not exist", () => {
  expect(() => x.sum(2)).toThrow(new ShapeError("sum: axis 2 does not exist in [2, 3]"));
  expect(() => x.max(-3)).toThrow(new ShapeError("max: axis -3 does not exist in [2, 3]"));
});

test.each([0, 1, 2])("gradients along axis %d", async (axis) => {
  for (const keepAxis of [false, true]) {
    expect(await gradientGap(sum, [randomTensor([2, 3, 4])], { axis, keepAxis })).toBeLessThan(1e-8);
    expect(await gradientGap(max, [randomTensor([2, 3, 4])], { axis, keepAxis })).toBeLessThan(1e-8);
  }
});

test("gradient of means", async () => {
  const y = randomTensor([2, 3]);
  expect(await functionGradientGap(() => y.mean(), [y])).toBeLessThan(1e-8);
  expect(await functionGradientGap(() => y.mean(0), [y])).toBeLessThan(1e-8);
});

test("every element that equals the maximum gets its gradient", async () => {
  const y = leaf(tensor([2, 1, 2]));
  y.max(0).backward();
  expect(await read(y.grad)).toEqual([1, 0, 1]);
});
