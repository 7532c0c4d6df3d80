import { expect, test } from "vitest";
import { leaf, randomTensor, read } from "../../test/exact.ts";
import { Random } from "../core/random.ts";
import { apply, withoutGradients } from "../tensor/op.ts";
import { dropout } from "../tensor/ops/dropout.ts";
import { gatedUnit } from "../tensor/ops/gated-unit.ts";
import { adaptedLinear, linear } from "../tensor/ops/matmul.ts";
import { layerNorm, rmsNorm } from "../tensor/ops/norm.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { usedOnce } from "./used-once.ts";

const [gain, bias, weight] = [randomTensor([4], 2), randomTensor([4], 3), randomTensor([4, 4], 4)];
const cheap: Record<string, (x: Tensor) => Tensor> = {
  layerNorm: (x) => apply(layerNorm, [x, leaf(gain), leaf(bias)], { epsilon: 1e-5 }),
  rmsNorm: (x) => apply(rmsNorm, [x, leaf(gain)], { epsilon: 1e-5 }),
  "linear with an activation": (x) => apply(linear, [x, leaf(weight), leaf(bias), null], { activation: "gelu" }),
  "adapted linear with an activation": (x) =>
    apply(adaptedLinear, [x, leaf(weight), leaf(bias), null, x, leaf(weight)], { activation: "gelu" }),
  unary: (x) => x.map("silu"),
  gatedUnit: (x) => apply(gatedUnit, [x], { activation: "silu" }),
  dropout: (x) => apply(dropout, [x], { rate: 0.5, draw: new Random(1).draw() }),
};

/** A loss to which both the result of `op` and its input matter, and the tensor between. */
function through(op: (x: Tensor) => Tensor, x: Tensor, use: typeof usedOnce): { loss: Tensor; between: Tensor } {
  const input = x.map("tanh");
  const between = op(input);
  const squares = use(between, (y) => y.mul(y));
  return { loss: squares.sum().add(input.sum()), between };
}

test.each(Object.entries(cheap))("%s is given back, and computed again to the same bits", async (_, op) => {
  const [x, y] = [leaf(randomTensor([3, 4], 1)), leaf(randomTensor([3, 4], 1))];
  const kept = through(op, x, (tensor, use) => use(tensor));
  kept.loss.backward();
  const forgotten = through(op, y, usedOnce);
  await expect(forgotten.between.read()).rejects.toThrow(/given back/);
  forgotten.loss.backward();
  expect(await read(y.grad)).toEqual(await read(x.grad));
});

test("two in a row are computed again in their order", async () => {
  const [x, y] = [leaf(randomTensor([3, 4], 1)), leaf(randomTensor([3, 4], 1))];
  const twice = (input: Tensor, use: typeof usedOnce): Tensor =>
    use(
      use(apply(rmsNorm, [input, gain], { epsilon: 1e-5 }), (normed) =>
        apply(gatedUnit, [normed], { activation: "silu" }),
      ),
      (gated) => gated.mul(gated),
    ).sum();
  twice(x, (tensor, use) => use(tensor)).backward();
  twice(y, usedOnce).backward();
  expect(await read(y.grad)).toEqual(await read(x.grad));
});

test("what is dear to compute again stays, and so does what the result shares its memory with", async () => {
  const product = usedOnce(leaf(weight).matmul(weight), (y) => y);
  expect(await read(product)).toHaveLength(16);
  const free = withoutGradients(() => usedOnce(apply(rmsNorm, [weight, gain], { epsilon: 1e-5 }), (y) => y));
  expect(await read(free)).toHaveLength(16);
});

test("what no gradient asks for is given back", async () => {
  const matrix = randomTensor([4, 4], 5);
  const product = matrix.matmul(matrix);
  expect(await read(usedOnce(product, (y) => y.add(1)))).toHaveLength(16);
  await expect(product.read()).rejects.toThrow(/given back/);
  const recorded = leaf(weight).matmul(weight);
  withoutGradients(() => usedOnce(recorded, (y) => y.add(1)));
  expect(await read(recorded)).toHaveLength(16);
});
