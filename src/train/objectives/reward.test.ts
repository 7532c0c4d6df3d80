import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import { rankedPairs, rankingLoss } from "./reward.ts";

const logSigmoid = (x: number): number => -Math.log(1 + Math.exp(-x));

test("rankings hold every pair but the ties, and prompts weigh the same", () => {
  const pairs = rankedPairs(
    [
      [2, 1, 2],
      [1, 2],
    ],
    0.5,
  );
  expect([...pairs.better]).toEqual([1, 1, 3]);
  expect([...pairs.worse]).toEqual([0, 2, 4]);
  expect([...pairs.weights]).toEqual([0.25, 0.25, 0.5]);
  expect([...pairs.margins]).toEqual([0.5, 0.5, 0.5]);
  expect([...rankedPairs([[1, 4]]).distances]).toEqual([3]);
});

test("a prompt whose answers all tie says nothing", () => {
  const pairs = rankedPairs([
    [1, 1],
    [2, 1],
  ]);
  expect([...pairs.better]).toEqual([3]);
  expect([...pairs.weights]).toEqual([1]);
});

test("K-wise loss of three answers, by hand", async () => {
  const rewards = tensor([2, 0.5, 1]); // ranks 1, 2, 3: the last two are the wrong way round
  const { loss, accuracy, margin } = rankingLoss(rewards, rankedPairs([[1, 2, 3]]));
  expectClose(await read(loss), [-(logSigmoid(1.5) + logSigmoid(1) + logSigmoid(-0.5)) / 3], {
    absolute: 1e-7,
    relative: 0,
  });
  expectClose(await read(accuracy), [2 / 3], { absolute: 1e-7, relative: 0 });
  expectClose(await read(margin), [(1.5 + 1 - 0.5) / 3], { absolute: 1e-7, relative: 0 });
});

test.each([0, 0.01])(
  "K = 2 is the mean of −log σ(r_chosen − r_rejected) over prompts, with centering %d",
  async (centering) => {
    const kWise = leaf(randomTensor([8], 3));
    const rankings = [
      [1, 2],
      [1, 2],
      [1, 2],
      [1, 2],
    ];
    const ours = rankingLoss(kWise, rankedPairs(rankings), centering);
    ours.loss.backward();
    const values = await read(kWise);
    const chosen = leaf(tensor(values.filter((_, i) => i % 2 === 0)));
    const rejected = leaf(tensor(values.filter((_, i) => i % 2 === 1)));
    const center = chosen.add(rejected).map("square").mean().mul(centering);
    const theirs = chosen.sub(rejected).map("logSigmoid").mean().neg().add(center);
    theirs.backward();
    expectClose(await read(ours.loss), await read(theirs), { absolute: 1e-7, relative: 0 });
    const gradients = await read(kWise.grad);
    const side = (odd: number): number[] => gradients.filter((_, i) => i % 2 === odd);
    expectClose(side(0), await read(chosen.grad), { absolute: 1e-7, relative: 0 });
    expectClose(side(1), await read(rejected.grad), { absolute: 1e-7, relative: 0 });
  },
);
