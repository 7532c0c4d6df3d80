import { expect, test } from "vitest";
import { leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import { DrawReader, Random } from "../../core/random.ts";
import { gradientGap } from "../check-op.ts";
import { apply } from "../op.ts";
import { dropout } from "./dropout.ts";

const draw = new Random(7).draw();

test("drops what the words of its draw say, and scales the rest", async () => {
  const reader = new DrawReader(draw);
  const expected = Array.from({ length: 50 }, () => (reader.word() < 0.25 * 2 ** 32 ? 0 : 4 / 0.75));
  const x = tensor(new Array(50).fill(4));
  expect(await read(apply(dropout, [x], { rate: 0.25, draw }))).toEqual(expected);
  expect(expected).toContain(0);
});

test("drops about its rate, and none at 0", async () => {
  const x = tensor(new Array(20_000).fill(1));
  const dropped = (await read(apply(dropout, [x], { rate: 0.3, draw }))).filter((y) => y === 0).length;
  expect(dropped / 20_000).toBeCloseTo(0.3, 1.5);
  expect(await read(apply(dropout, [x], { rate: 0, draw }))).toEqual(await read(x));
});

test("gradient", async () => {
  expect(await gradientGap(dropout, [randomTensor([3, 7])], { rate: 0.4, draw })).toBeLessThan(1e-8);
  const x = leaf(tensor(new Array(50).fill(1)));
  const y = apply(dropout, [x], { rate: 0.5, draw });
  const values = await read(y);
  y.sum().backward();
  expect(await read(x.grad)).toEqual(values);
});
