import { describe, expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { randomTensor, read, tensor } from "../../../test/exact.ts";
import { ShapeError } from "../../core/errors.ts";
import { composeGap, functionGradientGap, gradientGap } from "../check-op.ts";
import { apply } from "../op.ts";
import { conv2d } from "./conv2d.ts";

const none = { top: 0, left: 0, bottom: 0, right: 0 };
const all = { top: 1, left: 1, bottom: 1, right: 1 };
const lower = { top: 0, left: 0, bottom: 1, right: 1 };

test("slides its filters over the picture", async () => {
  const x = tensor([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1]);
  const [weight, bias] = [tensor([1, 10, 100, 1000], [1, 2, 2, 1]), tensor([0.5])];
  const attrs = { stride: 1, padding: none, activation: null };
  expectClose(await read(apply(conv2d, [x, weight, bias], attrs)), [5421.5, 6532.5, 8754.5, 9865.5]);
  // With a row and a column of zeros behind, every other place: pixels 1, 3, 7 and 9 come first.
  const strided = apply(conv2d, [x, weight, null], { stride: 2, padding: lower, activation: null });
  expectClose(await read(strided), [5421, 603, 87, 9]);
  const [first = 0] = await read(apply(conv2d, [x.mul(-0.001), weight, null], { ...attrs, activation: "silu" }));
  expect(first).toBeCloseTo(-5.421 / (1 + Math.exp(5.421)), 9);
});

test("errors", () => {
  const attrs = { stride: 1, padding: none, activation: null };
  const x = randomTensor([1, 4, 4, 3]);
  const fails = (weight: readonly number[], more = {}): unknown => {
    try {
      return apply(conv2d, [x, randomTensor(weight), null], { ...attrs, ...more });
    } catch (error) {
      return error;
    }
  };
  expect(fails([2, 3, 3, 2])).toBeInstanceOf(ShapeError);
  expect(fails([2, 5, 3, 3])).toEqual(
    new ShapeError(
      "conv2d: x [1, 4, 4, 3] and weight [2, 5, 3, 3]: the filter is larger than the picture with its padding",
    ),
  );
  expect(fails([2, 3, 3, 3], { stride: 0 })).toBeInstanceOf(ShapeError);
  expect(fails([2, 3, 3, 3], { padding: { ...none, left: -1 } })).toBeInstanceOf(ShapeError);
});

describe.each([
  ["3×3", [2, 3, 4, 2], [3, 3, 3, 2], 1, all],
  ["3×3, stride 2", [1, 4, 5, 2], [3, 3, 3, 2], 2, all],
  ["3×3, stride 2, padded behind", [1, 4, 4, 2], [2, 3, 3, 2], 2, lower],
  ["1×1", [2, 2, 2, 3], [2, 1, 1, 3], 1, none],
  ["1×1, stride 2", [1, 3, 4, 2], [2, 1, 1, 2], 2, none],
  ["2×4, stride 3", [1, 5, 7, 1], [2, 2, 4, 1], 3, { top: 2, left: 0, bottom: 1, right: 3 }],
] as const)("%s", (_, shape, taps, stride, padding) => {
  const [x, weight, bias] = [randomTensor(shape, 1), randomTensor(taps, 2), randomTensor([taps[0]], 3)] as const;

  test.each([null, "silu"] as const)("gradient and compose, activation %s", async (activation) => {
    const attrs = { stride, padding, activation };
    expect(await gradientGap(conv2d, [x, weight, bias], attrs)).toBeLessThan(1e-7);
    expect(await composeGap(conv2d, [x, weight, bias], attrs)).toBeLessThan(1e-11);
    const twice = (): typeof x => {
      const y = apply(conv2d, [x, weight, null], attrs);
      return y.add(apply(conv2d, [x, weight, bias], attrs)).mul(y);
    };
    expect(await functionGradientGap(twice, [x, weight, bias])).toBeLessThan(1e-6);
  });
});
