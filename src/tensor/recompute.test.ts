import { expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { leaf, randomTensor, read } from "../../test/exact.ts";
import { functionGradientGap } from "./check-op.ts";
import { withoutGradients } from "./op.ts";
import { recomputed } from "./recompute.ts";
import type { Tensor } from "./tensor.ts";

const weight = randomTensor([3, 3], 2);
const block = (x: Tensor): Tensor => x.matmul(weight).map("tanh").add(x);

test("gradients of the input and of what the body uses", async () => {
  const x = randomTensor([2, 3]);
  const body = (): Tensor => recomputed(block, recomputed(block, x)).mul(x);
  expect(await functionGradientGap(body, [x, weight])).toBeLessThan(1e-8);
});

test("gradients of several inputs, of which one is frozen and one unused", async () => {
  const [x, y, z] = [randomTensor([2, 3], 3), randomTensor([2, 3], 4), randomTensor([3], 5)];
  const body = (): Tensor => recomputed((a, b, _unused) => a.mul(b).matmul(weight), x, y, z);
  expect(await functionGradientGap(body, [x, y, z, weight])).toBeLessThan(1e-8);
  expect(await functionGradientGap(body, [y])).toBeLessThan(1e-8);
});

test("adds to gradients that are there already", async () => {
  const [x, w] = [leaf(randomTensor([2, 3])), leaf(weight.copy())];
  for (let pass = 0; pass < 2; pass++)
    recomputed((y) => y.matmul(w), x.map("exp"))
      .sum()
      .backward();
  const [dx, dw] = [await read(x.grad), await read(w.grad)];
  const [x1, w1] = [leaf(x.copy()), leaf(weight.copy())];
  x1.map("exp").matmul(w1).sum().mul(2).backward();
  expectClose(dx, await read(x1.grad));
  expectClose(dw, await read(w1.grad));
});

test("runs its body once more in the backward pass, and only there", () => {
  let runs = 0;
  const counted = (y: Tensor): Tensor => {
    runs += 1;
    return y.map("square");
  };
  withoutGradients(() => recomputed(counted, leaf(randomTensor([2]))));
  expect(runs).toBe(1);
  const loss = recomputed(counted, leaf(randomTensor([2]))).sum();
  expect(runs).toBe(2);
  loss.backward();
  expect(runs).toBe(3);
});

test("what the body made is given back after each run", async () => {
  const made: Tensor[] = [];
  const x = leaf(randomTensor([2]));
  const loss = recomputed((y) => {
    const inner = y.map("exp");
    made.push(inner);
    return inner.map("square");
  }, x).sum();
  await expect(made[0]?.read()).rejects.toThrow(/given back/);
  loss.backward();
  await expect(made[1]?.read()).rejects.toThrow(/given back/);
  expectClose(
    await read(x.grad),
    (await read(x)).map((v) => 2 * Math.exp(2 * v)),
  );
});
