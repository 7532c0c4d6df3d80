import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { Parameter } from "../nn/parameters.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { ParameterRates } from "./adamw.ts";
import { AdamW } from "./adamw.ts";

const constants = { beta1: 0.9, beta2: 0.999, epsilon: 1e-12 };

test("each parameter may have a rate and a decay of its own", async () => {
  const backend = openReference();
  const one = (shape: readonly number[]): Parameter => {
    const parameter = Parameter.create(backend, shape);
    parameter.write(new Float32Array(parameter.size).fill(3));
    parameter.grad = Tensor.full(backend, shape, -0.25).keep();
    return parameter;
  };
  const named = new Map([
    ["plain", one([2, 2])],
    ["slow", one([2, 2])],
    ["still", one([2, 2])],
    ["gain", one([2])],
    ["decayed", one([2])],
  ]);
  const own: Record<string, ParameterRates> = {
    slow: { rate: 0.1, weightDecay: 0 },
    still: { rate: 0 },
    decayed: { weightDecay: 0.5 },
  };
  const optimizer = new AdamW(named, { ...constants, weightDecay: 0.2 }, (name) => own[name] ?? {});
  optimizer.update(0.01, Tensor.full(backend, [], 1));
  const after = await Promise.all([...named.values()].map(async (parameter) => (await parameter.floats())[0]));
  // The first step of Adam is the rate, against the gradient.
  const expected = [3 + 0.01 * (1 - 0.2 * 3), 3 + 0.001, 3, 3 + 0.01, 3 + 0.01 * (1 - 0.5 * 3)];
  expect(after).toEqual(expected.map((value) => expect.closeTo(value, 6)));
});

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
  new AdamW(named, { ...constants, weightDecay: 0.5, scaleByParameter: true }).update(0.1, Tensor.full(backend, [], 1));
  const [large = 0, small = 0, zero = 0] = await Promise.all(
    [...named.values()].map(async (own) => (await own.read())[0]),
  );
  // The first step of Adam is the rate itself, against the gradient; the decay is relative, too.
  expect(large).toBeCloseTo(2 - 0.2 * (1 + 0.5 * 2), 6);
  expect(small).toBeCloseTo(-0.01 - 0.001 * (1 - 0.5 * 0.01), 8);
  expect(zero).toBeCloseTo(0.1 * 1e-3, 8);
});
