import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import type { DpoOptions } from "./dpo.ts";
import { dpoLoss } from "./dpo.ts";

const reference = { chosen: tensor([-3]), rejected: tensor([-3]) };
const policy = { chosen: tensor([-2]), rejected: tensor([-5]) }; // margin 3

test.each<[DpoOptions, number]>([
  [{ kind: "sigmoid", beta: 0.5, labelSmoothing: 0 }, Math.log(1 + Math.exp(-1.5))],
  [
    { kind: "sigmoid", beta: 0.5, labelSmoothing: 0.25 },
    0.75 * Math.log(1 + Math.exp(-1.5)) + 0.25 * Math.log(1 + Math.exp(1.5)),
  ],
  [{ kind: "ipo", beta: 0.5, labelSmoothing: 0 }, 4],
  [{ kind: "hinge", beta: 0.25, labelSmoothing: 0 }, 0.25],
])("%j by hand", async (options, expected) => {
  const { loss, chosenRewards, rejectedRewards } = dpoLoss(policy, reference, options);
  expectClose(await read(loss), [expected]);
  expectClose(await read(chosenRewards), [options.beta]);
  expectClose(await read(rejectedRewards), [-2 * options.beta]);
});

test("as β → 0 the loss is log 2 and its gradient a plain push apart", async () => {
  const beta = 1e-7;
  const chosen = leaf(randomTensor([4], 1));
  const rejected = leaf(randomTensor([4], 2));
  const before = { chosen: randomTensor([4], 3), rejected: randomTensor([4], 4) };
  const { loss } = dpoLoss({ chosen, rejected }, before, { kind: "sigmoid", beta, labelSmoothing: 0 });
  loss.backward();
  expect((await read(loss))[0]).toBeCloseTo(Math.log(2), 6);
  for (const gradient of await read(chosen.grad)) expect(gradient / beta).toBeCloseTo(-0.5 / 4, 6);
  for (const gradient of await read(rejected.grad)) expect(gradient / beta).toBeCloseTo(0.5 / 4, 6);
});
