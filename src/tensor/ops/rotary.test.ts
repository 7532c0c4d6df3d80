import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { exact, ids, leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import { ShapeError } from "../../core/errors.ts";
import { composeGap, gradientGap } from "../check-op.ts";
import { apply } from "../op.ts";
import { Tensor } from "../tensor.ts";
import type { RotaryAngles } from "./rotary.ts";
import { rotary } from "./rotary.ts";

/** Tables of `count` positions with one angle step for each pair. */
function angles(count: number, steps: readonly number[], positions: Tensor | null = null): RotaryAngles {
  const table = (f: (angle: number) => number): Tensor =>
    tensor(Array.from({ length: count }, (_, m) => steps.map((step) => f(m * step))).flat(), [count, steps.length]);
  return { cos: table(Math.cos), sin: table(Math.sin), positions };
}

test("a point turns by its position's angle, dimension i with i + half", async () => {
  const quarter = Math.PI / 2;
  const x = tensor([1, 2, 3, 4, 1, 2, 3, 4], [1, 2, 4]);
  const y = apply(rotary, [x], { heads: 1, ...angles(2, [quarter, 2 * quarter]) });
  expectClose(await read(y), [1, 2, 3, 4, -3, -2, 1, -4], { absolute: 1e-6, relative: 0 });
});

test("the product of a query and a key depends on their distance only", async () => {
  const [query, key] = [randomTensor([1, 1, 6], 3), randomTensor([1, 1, 6], 4)];
  const at = async (x: Tensor, position: number): Promise<number[]> =>
    read(apply(rotary, [x], { heads: 1, ...angles(40, [1, 0.3, 0.07], ids([position])) }));
  const dot = async (i: number, j: number): Promise<number> => {
    const [a, b] = [await at(query, i), await at(key, j)];
    return a.reduce((sum, value, d) => sum + value * b[d]!, 0);
  };
  expect(await dot(5, 2)).toBeCloseTo(await dot(38, 35), 6);
  expect(Math.abs((await dot(5, 2)) - (await dot(5, 3)))).toBeGreaterThan(1e-3);
});

test("what follows the turning heads passes unchanged", async () => {
  const x = randomTensor([2, 3, 7]);
  const y = apply(rotary, [x], { heads: 1, ...angles(3, [1, 0.1]) });
  const [before, after] = [await read(x.slice(2, 4, 7)), await read(y.slice(2, 4, 7))];
  expect(after).toEqual(before);
});

const cases = [
  { heads: 2, ...angles(3, [1, 0.1]) },
  { heads: 1, ...angles(9, [1, 0.1], ids([4, 5, 6, 0, 1, 8])) },
];

test.each(cases)("gradient and compose agree with the kernel, case %#", async (attrs) => {
  expect(await gradientGap(rotary, [randomTensor([2, 3, 8])], attrs)).toBeLessThan(1e-8);
  expect(await composeGap(rotary, [randomTensor([2, 3, 8])], attrs)).toBeLessThan(1e-12);
});

test("a gradient that other branches share is left alone", async () => {
  const x = leaf(randomTensor([1, 2, 4]));
  const turned = apply(rotary, [x], { heads: 1, ...angles(2, [1, 0.1]) });
  turned
    .add(x.mul(2))
    .mul(Tensor.full(exact, [1, 2, 4], 1))
    .sum()
    .backward();
  const gradient = await read(x.grad);
  expectClose(gradient.slice(0, 4), [3, 3, 3, 3], { absolute: 1e-6, relative: 0 });
  expectClose(gradient.slice(4, 6), [2 + Math.cos(1) + Math.sin(1), 2 + Math.cos(0.1) + Math.sin(0.1)], {
    absolute: 1e-6,
    relative: 0,
  });
});

test("heads that do not fit, and tables too short, are refused", () => {
  const x = randomTensor([1, 3, 6]);
  expect(() => apply(rotary, [x], { heads: 2, ...angles(3, [1, 0.1]) })).toThrow(ShapeError);
  expect(() => apply(rotary, [x], { heads: 1, ...angles(2, [1, 0.1]) })).toThrow(
    "rotary: 1 heads with tables [2, 2] do not fit x [1, 3, 6]",
  );
});
