import { expect, test } from "vitest";
import { leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import { ShapeError } from "../../core/errors.ts";
import { functionGradientGap, gradientGap } from "../check-op.ts";
import { concat, permute, slice, upsampleNearest } from "./movement.ts";

const x = tensor([1, 2, 3, 4, 5, 6], [2, 3]);

test("permute", async () => {
  expect(await read(x.permute([1, 0]))).toEqual([1, 4, 2, 5, 3, 6]);
  const y = tensor([...Array(24).keys()], [2, 3, 4]).permute([2, 0, 1]);
  expect(y.shape).toEqual([4, 2, 3]);
  expect(await read(y)).toEqual([0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19, 23]);
  expect(await read(tensor([7], []).permute([]))).toEqual([7]);
});

test("upsampleNearest", async () => {
  const up = upsampleNearest(tensor([1, 2, 3, 4], [1, 1, 2, 2]));
  expect(up.shape).toEqual([1, 2, 4, 2]);
  expect(await read(up)).toEqual([1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4]);
  const picture = randomTensor([2, 2, 3, 2]);
  expect(await functionGradientGap(() => upsampleNearest(picture), [picture])).toBeLessThan(1e-8);
});

test("slice", async () => {
  expect(await read(x.slice(1, 1, 3))).toEqual([2, 3, 5, 6]);
  expect(await read(x.slice(-2, 1, 2))).toEqual([4, 5, 6]);
  expect(x.slice(0, 1, 1).shape).toEqual([0, 3]);
});

test("concat", async () => {
  expect(await read(concat([x, tensor([7, 8], [2, 1])], 1))).toEqual([1, 2, 3, 7, 4, 5, 6, 8]);
  expect(await read(concat([x, tensor([7, 8, 9], [1, 3]), x.slice(0, 0, 0)], -2))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("reshape shares memory and works one length out", async () => {
  expect(x.reshape([3, -1]).shape).toEqual([3, 2]);
  expect(x.reshape([-1]).storage).toBe(x.storage);
});

test("window is a stretch of the same memory", async () => {
  expect(await read(x.window(2, [2]))).toEqual([3, 4]);
});

test("errors", () => {
  const thrown = (message: string): ShapeError => new ShapeError(message);
  expect(() => x.permute([0, 0])).toThrow(thrown("permute: order [0, 0] must name every axis of [2, 3] once"));
  expect(() => x.slice(1, 2, 4)).toThrow(thrown("slice: 2…4 is not within axis 1 of [2, 3]"));
  expect(() => x.slice(1, -1, 2)).toThrow(thrown("slice: -1…2 is not within axis 1 of [2, 3]"));
  expect(() => concat([x, tensor([1, 2], [1, 2])], 0)).toThrow(
    thrown("concat: [2, 3] and [1, 2] differ beside axis 0"),
  );
  expect(() => concat([], 0)).toThrow(ShapeError);
  expect(() => x.reshape([4])).toThrow(thrown("reshape: [2, 3] does not fit [4]"));
  expect(() => x.reshape([-1, 4])).toThrow(thrown("reshape: [2, 3] does not fit [-1, 4]"));
  expect(() => x.window(4, [3])).toThrow(thrown("window: [3] from element 4 is not within [2, 3]"));
});

test.each([[[0, 1, 2]], [[2, 0, 1]], [[1, 2, 0]], [[0, 2, 1]]])("gradient of permute %j", async (order) => {
  expect(await gradientGap(permute, [randomTensor([2, 3, 4])], { order })).toBeLessThan(1e-8);
});

test.each([0, 1, 2])("gradient of slice and concat along axis %d", async (axis) => {
  const y = randomTensor([2, 3, 4]);
  expect(await gradientGap(slice, [y], { axis, start: 1, end: 2 })).toBeLessThan(1e-8);
  const z = randomTensor([2, 3, 4].with(axis, 1), 2);
  expect(await functionGradientGap(() => concat([y, z, y], axis), [y, z])).toBeLessThan(1e-8);
});

test("slices that overlap add their gradients", async () => {
  const y = leaf(tensor([1, 2, 3]));
  y.slice(0, 0, 2)
    .sum()
    .add(y.slice(0, 1, 3).sum())
    .backward();
  expect(await read(y.grad)).toEqual([1, 2, 1]);
});

test("gradient through reshapes", async () => {
  const y = randomTensor([2, 3]);
  expect(await functionGradientGap(() => y.reshape([3, 2]).permute([1, 0]).reshape([6]), [y])).toBeLessThan(1e-8);
});
