import { expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { exact } from "../../test/exact.ts";
import { Random } from "../core/random.ts";
import { Tensor } from "./tensor.ts";

test("normal numbers are those of the generator that the draw is of", async () => {
  const made = Tensor.normal(exact, [3, 7], new Random(11).draw());
  expectClose(await made.read(), new Random(11).normal(21), { absolute: 0, relative: 1e-7 });
});

test("their mean, variance and fourth moment are a normal distribution's", async () => {
  const values = [...(await Tensor.normal(exact, [20_000], new Random(5).draw()).read())];
  const moment = (power: number): number => values.reduce((sum, x) => sum + x ** power, 0) / values.length;
  for (const [power, expected] of [
    [1, 0],
    [2, 1],
    [4, 3],
  ] as const)
    expect(Math.abs(moment(power) - expected)).toBeLessThan(0.2);
});
