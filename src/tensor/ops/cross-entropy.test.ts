import { describe, expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { ids, leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import { DataError, ShapeError } from "../../core/errors.ts";
import { composeGap, functionGradientGap, gradientGap } from "../check-op.ts";
import { apply, withoutGradients } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { biasedCrossEntropy, linearCrossEntropy } from "./cross-entropy.ts";

test("the loss of a classifier that knows nothing is log(classes)", async () => {
  const loss = apply(linearCrossEntropy, [tensor([1, 2, 3, 4], [2, 2]), randomTensor([5, 2]).mul(0)], {
    targets: ids([4, 0]),
    scale: 0.5,
  });
  expect(loss.shape).toEqual([]);
  expectClose(await read(loss), [Math.log(5)]);
});

describe.each([
  ["every target", [3, 0, 2, 1, 3]],
  ["some targets ignored", [3, -100, 2, -1, 3]],
  ["the first and last ignored", [-1, 0, 2, 1, -1]],
])("%s", (_, targets) => {
  const [hidden, weight] = [randomTensor([5, 3], 1), randomTensor([4, 3], 2)];
  const attrs = { targets: ids(targets), scale: 0.3 };

  test("gradients, and the same from other ops", async () => {
    expect(await gradientGap(linearCrossEntropy, [hidden, weight], attrs)).toBeLessThan(1e-8);
    expect(await composeGap(linearCrossEntropy, [hidden, weight], attrs)).toBeLessThan(1e-12);
  });

  test("gradients of a classifier with a bias, and the same from other ops", async () => {
    const bias = randomTensor([4], 3);
    expect(await gradientGap(biasedCrossEntropy, [hidden, weight, bias], attrs)).toBeLessThan(1e-8);
    expect(await composeGap(biasedCrossEntropy, [hidden, weight, bias], attrs)).toBeLessThan(1e-12);
  });

  test("gradients with capped logits, and the same from other ops", async () => {
    const [capped, bias] = [{ ...attrs, cap: 0.9 }, randomTensor([4], 3)];
    expect(await gradientGap(linearCrossEntropy, [hidden, weight], capped)).toBeLessThan(1e-8);
    expect(await composeGap(linearCrossEntropy, [hidden, weight], capped)).toBeLessThan(1e-12);
    expect(await gradientGap(biasedCrossEntropy, [hidden, weight, bias], capped)).toBeLessThan(1e-8);
    expect(await composeGap(biasedCrossEntropy, [hidden, weight, bias], capped)).toBeLessThan(1e-12);
  });

  test("gradients under a factor, and with operands that other ops use", async () => {
    const body = (): Tensor => {
      const loss = apply(linearCrossEntropy, [hidden.mul(2), weight], attrs);
      return loss.mul(-3).add(weight.map("square").sum()).add(loss.map("square"));
    };
    expect(await functionGradientGap(body, [hidden, weight])).toBeLessThan(1e-8);
  });
});

test("targets may keep the axes of the batch", async () => {
  const attrs = { targets: ids([0, 1, -1, 1], [2, 2]), scale: 1 };
  expect(await composeGap(linearCrossEntropy, [randomTensor([4, 3]), randomTensor([2, 3], 2)], attrs)).toBeLessThan(
    1e-12,
  );
});

test("several chunks give what one would", async () => {
  // 60,000 classes × 300 rows are more logits than exist at one time.
  const [rows, classes] = [300, 60_000];
  const [hidden, weight] = [leaf(randomTensor([rows, 1], 1)), leaf(randomTensor([classes, 1], 2))];
  const targets = ids(Array.from({ length: rows }, (_, i) => (i % 7 === 3 ? -1 : (i * 409) % classes)));
  apply(linearCrossEntropy, [hidden, weight], { targets, scale: 1 / rows }).backward();
  const [dHidden, dWeight] = [await read(hidden.grad), await read(weight.grad)];
  [hidden.grad, weight.grad] = [null, null];
  const logits = hidden.mul(weight.reshape([classes]));
  logits
    .logSoftmax()
    .pick(targets)
    .sum()
    .mul(-1 / rows)
    .backward();
  expectClose(dHidden, await read(hidden.grad), { absolute: 1e-12, relative: 1e-9 });
  expectClose(dWeight, await read(weight.grad), { absolute: 1e-12, relative: 1e-9 });
});

test("only what is trained gets a gradient", async () => {
  const attrs = { targets: ids([0, 1]), scale: 1 };
  const [hidden, weight] = [randomTensor([2, 3]), leaf(randomTensor([2, 3], 2))];
  apply(linearCrossEntropy, [hidden, weight], attrs).backward();
  expect(hidden.grad).toBeNull();
  const [free, frozen] = [leaf(randomTensor([2, 3])), randomTensor([2, 3], 2)];
  apply(linearCrossEntropy, [free, frozen], attrs).backward();
  expect(frozen.grad).toBeNull();
  const both = [leaf(randomTensor([2, 3])), leaf(randomTensor([2, 3], 2))] as const;
  apply(linearCrossEntropy, [...both], attrs).backward();
  expectClose(await read(weight.grad), await read(both[1].grad));
  expectClose(await read(free.grad), await read(both[0].grad));
});

test("the loss alone, without a tape", async () => {
  const [hidden, weight] = [leaf(randomTensor([3, 2])), leaf(randomTensor([4, 2], 2))];
  const attrs = { targets: ids([0, 3, 1]), scale: 1 };
  const loss = withoutGradients(() => apply(linearCrossEntropy, [hidden, weight], attrs));
  expect(loss.requiresGrad).toBe(false);
  expectClose(await read(loss), await read(apply(linearCrossEntropy, [hidden, weight], attrs)));
});

test("no rows give a loss and gradients of 0", async () => {
  const [hidden, weight] = [leaf(tensor([], [0, 2])), leaf(randomTensor([3, 2]))];
  const loss = apply(linearCrossEntropy, [hidden, weight], { targets: ids([]), scale: 1 });
  expect(await read(loss)).toEqual([0]);
  loss.backward();
  expect(await read(weight.grad)).toEqual([0, 0, 0, 0, 0, 0]);
});

test("errors", () => {
  const [hidden, weight] = [randomTensor([2, 3]), randomTensor([4, 3])];
  const attempt = (h: Tensor, w: Tensor, targets: Tensor) => () =>
    apply(linearCrossEntropy, [h, w], { targets, scale: 1 });
  expect(attempt(hidden, weight, ids([0, 1, 2]))).toThrow(
    new ShapeError("linearCrossEntropy: hidden [2, 3], weight [4, 3] and int32 targets [3] do not fit"),
  );
  expect(attempt(hidden, weight, tensor([0, 1]))).toThrow(/float32 targets/);
  expect(attempt(hidden, randomTensor([4, 2]), ids([0, 1]))).toThrow(ShapeError);
  expect(attempt(hidden, weight, ids([0, 4]))).toThrow(DataError);
});

test("the gradient of a bias is summed over chunks", async () => {
  const [rows, classes] = [300, 60_000];
  const bias = leaf(randomTensor([classes], 3));
  const targets = ids(Array.from({ length: rows }, (_, i) => (i * 409) % classes));
  const operands: [Tensor, Tensor, Tensor] = [randomTensor([rows, 1], 1), randomTensor([classes, 1], 2), bias];
  apply(biasedCrossEntropy, operands, { targets, scale: 1 }).backward();
  const gradient = await read(bias.grad);
  expect(gradient.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 9); // each row's gradient sums to 0
  expect(gradient.filter((value) => value < -0.5).length).toBe(rows);
});

test("a bias of another size is refused", () => {
  const operands: [Tensor, Tensor, Tensor] = [randomTensor([2, 3]), randomTensor([4, 3]), randomTensor([3])];
  expect(() => apply(biasedCrossEntropy, operands, { targets: ids([0, 1]), scale: 1 })).toThrow(
    new ShapeError("biasedCrossEntropy: bias [3] does not fit weight [4, 3]"),
  );
});
