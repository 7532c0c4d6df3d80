import { describe, expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { randomTensor, read, tensor } from "../../../test/exact.ts";
import { ShapeError } from "../../core/errors.ts";
import { composeGap, functionGradientGap, gradientGap } from "../check-op.ts";
import { apply } from "../op.ts";
import { groupNorm } from "./group-norm.ts";

test("normalises each group of channels over all places of a sample", async () => {
  // Two places of four channels: groups {1, 3, 5, 7} (mean 4, variance 5) and {2, 2, 4, 4} (mean 3, variance 1).
  const x = tensor([1, 3, 2, 2, 5, 7, 4, 4], [1, 2, 1, 4]);
  const [gain, bias] = [tensor([1, 2, 1, 1]), tensor([0, 0, 0.5, 0])];
  const attrs = { groups: 2, epsilon: 0, activation: null } as const;
  const [a, b] = [1 / Math.sqrt(5), 3 / Math.sqrt(5)];
  expectClose(await read(apply(groupNorm, [x, gain, bias], attrs)), [-b, -2 * a, -0.5, -1, a, 2 * b, 1.5, 1]);
  const [first = 0] = await read(apply(groupNorm, [x, gain, bias], { ...attrs, activation: "silu" }));
  expect(first).toBeCloseTo(-b / (1 + Math.exp(b)), 12);
});

test("errors", () => {
  const attrs = { groups: 3, epsilon: 0, activation: null } as const;
  const x = randomTensor([2, 3, 3, 4]);
  expect(() => apply(groupNorm, [x, randomTensor([4]), randomTensor([4])], attrs)).toThrow(
    new ShapeError("groupNorm: 3 groups do not divide the channels of [2, 3, 3, 4]"),
  );
  expect(() => apply(groupNorm, [x, randomTensor([4]), randomTensor([2])], { ...attrs, groups: 2 })).toThrow(
    new ShapeError("groupNorm: gain and bias must be one row of [2, 3, 3, 4], got [2]"),
  );
});

describe.each([null, "silu"] as const)("activation %s", (activation) => {
  test.each([
    [[2, 2, 3, 6], 3],
    [[1, 5, 4], 1],
    [[3, 4], 4],
  ] as const)("x %j in %d groups", async (shape, groups) => {
    const channels = shape.at(-1) as number;
    const [x, gain, bias] = [randomTensor(shape, 1), randomTensor([channels], 2), randomTensor([channels], 3)] as const;
    const attrs = { groups, epsilon: 1e-3, activation };
    expect(await gradientGap(groupNorm, [x, gain, bias], attrs)).toBeLessThan(1e-7);
    expect(await composeGap(groupNorm, [x, gain, bias], attrs)).toBeLessThan(1e-11);
    const around = (): typeof x => x.add(apply(groupNorm, [x, gain, bias], attrs));
    expect(await functionGradientGap(around, [x, gain, bias])).toBeLessThan(1e-7);
  });
});
