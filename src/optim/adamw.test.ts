import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { Parameter } from "../nn/parameters.ts";
import { Tensor } from "../tensor/tensor.ts";
import { AdamW } from "./adamw.ts";

test("steps are relative to the size of each parameter, and those at 0 can grow", async () => {
  const backend = openReference();
  const filled = (value: number, gradient: number): Parameter => {
    const parameter = Parameter.create(backend, [4, 2]);
    parameter.write(new Float32Array(8).fill(value));
    parameter.grad = Tensor.full(backend, [4, 2], gradient).keep();
    return parameter;
  };
  const named = new Map([
    ["large", filled(2, 0.5)],
    ["small", filled(-0.01, 7)],
    ["zero", filled(0, -1)],
  ]);
  const constants = { beta1: 0.9, beta2: 0.999, epsilon: 1e-12, weightDecay: 0.5 };
  new AdamW(named, { ...constants, scaleByParameter: true }).update(0.1, Tensor.full(backend, [], 1));
  const [large = 0, small = 0, zero = 0] = await Promise.all(
    [...named.values()].map(async (own) => (await own.read())[0]),
  );
  // The first step of Adam is the rate itself, against the gradient; the decay is relative, too.
  expect(large).toBeCloseTo(2 - 0.2 * (1 + 0.5 * 2), 6);
  expect(small).toBeCloseTo(-0.01 - 0.001 * (1 - 0.5 * 0.01), 8);
  expect(zero).toBeCloseTo(0.1 * 1e-3, 8);
});
