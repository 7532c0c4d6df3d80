import { expect, it } from "vitest";
import { minimize } from "./minimize.ts";

it("finds the end of Rosenbrock's valley", () => {
  const { at, value } = minimize(
    ([x = 0, y = 0]) => {
      const across = y - x * x;
      return { value: 100 * across ** 2 + (1 - x) ** 2, gradient: [-400 * x * across - 2 * (1 - x), 200 * across] };
    },
    [-1.2, 1],
  );
  expect(value).toBeLessThan(1e-20);
  expect(at[0]).toBeCloseTo(1, 9);
  expect(at[1]).toBeCloseTo(1, 9);
});

it("ends on a kink", () => {
  const { at } = minimize(
    ([x = 0, y = 0]) => {
      return { value: Math.abs(x - 3) + (y + 1) ** 2, gradient: [Math.sign(x - 3), 2 * (y + 1)] };
    },
    [0, 0],
  );
  expect(at[0]).toBeCloseTo(3, 6);
  expect(at[1]).toBeCloseTo(-1, 4);
});
