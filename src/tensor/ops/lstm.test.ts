import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { exact, leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import { openReference } from "../../backend/reference/index.ts";
import { composeGap, functionGradientGap, gradientGap } from "../check-op.ts";
import { apply } from "../op.ts";
import { Tensor } from "../tensor.ts";
import { lstm } from "./lstm.ts";

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

test("one unit, two steps, by hand", async () => {
  const sums = tensor([0.5, 1, -0.5, 2, 0, 0, 1, 0], [2, 1, 4]);
  const weight = tensor([0.125, 0.25, 0.375, 0.5], [4, 1]);
  const y = apply(lstm, [sums, weight, tensor([0.5], [1, 1]), tensor([-1], [1, 1])], undefined);
  const c1 = sigmoid(1 + 0.125) * -1 + sigmoid(0.5 + 0.0625) * Math.tanh(-0.5 + 0.1875);
  const h1 = sigmoid(2 + 0.25) * Math.tanh(c1);
  const c2 = sigmoid(0.25 * h1) * c1 + sigmoid(0.125 * h1) * Math.tanh(1 + 0.375 * h1);
  const h2 = sigmoid(0.5 * h1) * Math.tanh(c2);
  expect(y.shape).toEqual([2, 2, 1, 1]);
  expectClose(await read(y), [h1, h2, c1, c2]);
});

const operands = (time: number): [Tensor, Tensor, Tensor, Tensor] => [
  randomTensor([time, 2, 12], 1),
  randomTensor([12, 3], 2),
  randomTensor([2, 3], 3),
  randomTensor([2, 3], 4),
];

test.each([1, 2, 5])("gradient and compose over %i steps", async (time) => {
  expect(await gradientGap(lstm, operands(time), undefined)).toBeLessThan(1e-8);
  expect(await composeGap(lstm, operands(time), undefined)).toBeLessThan(1e-12);
});

test("the gradient of composed ops", async () => {
  const plain = openReference({ precision: "float64", fused: false });
  const own = operands(3).map(({ storage, shape }) => new Tensor(plain, storage, shape)) as ReturnType<typeof operands>;
  expect(await functionGradientGap(() => apply(lstm, own, undefined), own)).toBeLessThan(1e-8);
});

test("gradients of what is not frozen arrive all the same", async () => {
  const [sums, weight, hidden, cells] = operands(3);
  const gradientOf = async (leaves: readonly Tensor[]): Promise<number[]> => {
    for (const x of leaves) leaf(x);
    apply(lstm, [sums, weight, hidden, cells], undefined).map("square").sum().backward();
    const gradient = await read(weight.grad);
    for (const x of leaves) Object.assign(x, { requiresGrad: false, grad: null });
    return gradient;
  };
  expect(await gradientOf([weight])).toEqual(await gradientOf([sums, weight, hidden, cells]));
});

test("shapes that do not fit are refused", () => {
  const [sums, weight, hidden] = operands(2);
  expect(() => apply(lstm, [sums, weight, hidden, Tensor.from(exact, [1], [1, 1])], undefined)).toThrow(
    "lstm: sums [2, 2, 12], weight [12, 3], hidden [2, 3] and cells [1, 1] do not fit",
  );
});
