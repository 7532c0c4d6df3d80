import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { randomTensor, read, tensor } from "../../../test/exact.ts";
import { ShapeError } from "../../core/errors.ts";
import { gradientGap } from "../check-op.ts";
import { logSoftmax, softmax } from "./softmax.ts";

const thirds = [Math.log(1), Math.log(2), Math.log(3)];

test("rows of the last axis", async () => {
  const x = tensor([...thirds, 5, 5, 5], [2, 3]);
  expectClose(await read(x.softmax()), [1 / 6, 2 / 6, 3 / 6, 1 / 3, 1 / 3, 1 / 3], { absolute: 1e-7, relative: 0 });
  const logs = [1 / 6, 2 / 6, 3 / 6, 1 / 3, 1 / 3, 1 / 3].map(Math.log);
  expectClose(await read(x.logSoftmax()), logs, { absolute: 1e-7, relative: 0 });
});

test("large numbers do not overflow, and −∞ is a weight of 0", async () => {
  const x = tensor([1e4, 1e4, Number.NEGATIVE_INFINITY]);
  expectClose(await read(x.softmax()), [0.5, 0.5, 0]);
  expectClose(await read(tensor([1e4, 0]).logSoftmax()), [0, -1e4]);
});

test("a scalar has no rows", () => {
  expect(() => tensor([1], []).softmax()).toThrow(new ShapeError("softmax: x must have at least 1 axis, got a scalar"));
});

test.each([[[4]], [[2, 5]], [[2, 1, 3]], [[3, 1]]])("gradients of %j", async (shape) => {
  expect(await gradientGap(softmax, [randomTensor(shape)], undefined)).toBeLessThan(1e-8);
  expect(await gradientGap(logSoftmax, [randomTensor(shape)], undefined)).toBeLessThan(1e-8);
});
