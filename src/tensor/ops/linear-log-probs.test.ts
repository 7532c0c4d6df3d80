import { describe, expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { ids, leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import { ShapeError } from "../../core/errors.ts";
import { composeGap, gradientGap } from "../check-op.ts";
import { apply } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { linearLogProbs } from "./linear-log-probs.ts";

/** Numbers are float32 where they are not computed. */
const rounded = { absolute: 1e-6, relative: 1e-6 };
const plain = { temperature: 1, cap: null, measures: null };

test("log-probability, entropy and mean logit of two coins", async () => {
  // Logits 0 and log 3: probabilities 1/4 and 3/4.
  const [hidden, weight] = [tensor([1, 1], [2, 1]), tensor([0, Math.log(3)], [2, 1])];
  const measures = { entropy: hidden.blank([2]), meanLogits: hidden.blank([2]) };
  const found = apply(linearLogProbs, [hidden, weight, null], { ...plain, targets: ids([0, 1]), measures });
  expectClose(await read(found), [Math.log(1 / 4), Math.log(3 / 4)], rounded);
  const entropy = -(Math.log(1 / 4) / 4 + (3 * Math.log(3 / 4)) / 4);
  expectClose(await read(measures.entropy), [entropy, entropy], rounded);
  expectClose(await read(measures.meanLogits), [Math.log(3) / 2, Math.log(3) / 2], rounded);
});

test("a temperature of 2 takes square roots of the odds", async () => {
  const [hidden, weight] = [tensor([1], [1, 1]), tensor([0, Math.log(9)], [2, 1])];
  const found = apply(linearLogProbs, [hidden, weight, null], { ...plain, targets: ids([1]), temperature: 2 });
  expectClose(await read(found), [Math.log(3 / 4)], rounded);
});

describe.each([
  ["plain", null, 1, false],
  ["a bias", null, 1, true],
  ["a temperature", null, 0.7, true],
  ["capped logits", 0.9, 1, false],
  ["all of them", 0.9, 0.7, true],
])("%s", (_, cap, temperature, hasBias) => {
  const [hidden, weight] = [randomTensor([5, 3], 1), randomTensor([4, 3], 2)];
  const operands = (): [Tensor, Tensor, Tensor | null] => [hidden, weight, hasBias ? randomTensor([4], 3) : null];
  const attrs = { targets: ids([3, 0, -1, 1, 3]), cap, temperature, measures: null };

  test("gradients, and the same from other ops", async () => {
    expect(await gradientGap(linearLogProbs, operands(), attrs)).toBeLessThan(1e-8);
    expect(await composeGap(linearLogProbs, operands(), attrs)).toBeLessThan(1e-12);
  });

  test("what is watched is the same from other ops", async () => {
    const filled = async (op: typeof linearLogProbs.run | null): Promise<number[]> => {
      const measures = { entropy: hidden.blank([5]), meanLogits: hidden.blank([5]) };
      if (op) apply(linearLogProbs, operands(), { ...attrs, measures });
      else linearLogProbs.compose?.(operands(), { ...attrs, measures });
      return [...(await read(measures.entropy)), ...(await read(measures.meanLogits))];
    };
    const found = await filled(linearLogProbs.run);
    expectClose(found, await filled(null), { absolute: 1e-12, relative: 1e-12 });
    expect(found[2]).toBe(0); // no target
    expect(found[0]).toBeGreaterThan(0);
  });
});

test("the gradient of a bias is summed over chunks", async () => {
  // 60,000 classes × 300 rows are more logits than exist at one time.
  const [rows, classes] = [300, 60_000];
  const bias = leaf(randomTensor([classes], 3));
  const targets = ids(Array.from({ length: rows }, (_, i) => (i * 409) % classes));
  apply(linearLogProbs, [randomTensor([rows, 1], 1), randomTensor([classes, 1], 2), bias], { ...plain, targets })
    .sum()
    .backward();
  const gradient = await read(bias.grad);
  expect(gradient.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 9); // each row's gradient sums to 0
  expect(gradient.filter((value) => value > 0.5).length).toBe(rows);
});

test("no rows, and a frozen weight", async () => {
  const [hidden, weight] = [leaf(tensor([], [0, 2])), leaf(randomTensor([3, 2]))];
  apply(linearLogProbs, [hidden, weight, null], { ...plain, targets: ids([]) })
    .sum()
    .backward();
  expect(await read(weight.grad)).toEqual([0, 0, 0, 0, 0, 0]);
  const [free, frozen] = [leaf(randomTensor([2, 2])), randomTensor([3, 2])];
  apply(linearLogProbs, [free, frozen, null], { ...plain, targets: ids([0, 2]) })
    .sum()
    .backward();
  expect(frozen.grad).toBeNull();
  expect((await read(free.grad)).some((value) => value !== 0)).toBe(true);
});

test("operands that do not fit are refused", () => {
  const attempt = () =>
    apply(linearLogProbs, [randomTensor([2, 3]), randomTensor([4, 3]), randomTensor([3])], {
      ...plain,
      targets: ids([0, 1]),
    });
  expect(attempt).toThrow(
    new ShapeError("linearLogProbs: hidden [2, 3], weight [4, 3], bias [3] and int32 targets [2] do not fit"),
  );
});
