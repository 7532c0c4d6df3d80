import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import { klEstimate } from "./kl.ts";
import { policyLoss, valueLoss } from "./ppo.ts";

const logs = (ratios: readonly number[]): ReturnType<typeof tensor> => tensor(ratios.map(Math.log));
const loose = { absolute: 1e-6, relative: 0 };

test("clipping ends the gradient where the ratio has gone far enough, and only there", async () => {
  const logProbs = leaf(logs([1.5, 1.5, 0.5, 0.5]));
  const advantages = tensor([1, -1, 1, -1]);
  const { loss, clipFraction } = policyLoss({ logProbs, oldLogProbs: logs([1, 1, 1, 1]), advantages }, 0.2);
  loss.backward();
  expectClose(await read(loss), [(-1.2 + 1.5 - 0.5 + 0.8) / 4], loose);
  expectClose(await read(clipFraction), [0.5], loose);
  expectClose(await read(logProbs.grad), [0, 1.5 / 4, -0.5 / 4, 0], loose);
});

test("before the first update the ratio is 1, the KL 0, and the gradient the policy gradient", async () => {
  const logProbs = leaf(randomTensor([6], 1));
  const advantages = randomTensor([6], 2);
  const { loss, clipFraction, approximateKl, meanRatio } = policyLoss(
    { logProbs, oldLogProbs: randomTensor([6], 1), advantages },
    0.2,
  );
  loss.backward();
  expect([await read(clipFraction), await read(approximateKl)]).toEqual([[0], [0]]);
  expectClose(await read(meanRatio), [1]);
  expectClose(
    await read(logProbs.grad),
    (await read(advantages)).map((advantage) => -advantage / 6),
  );
});

test("the critic's step is clipped around its old values", async () => {
  const values = leaf(tensor([1, 1]));
  const { loss, clipFraction } = valueLoss({ values, oldValues: tensor([0, 0]), returns: tensor([1, 3]) }, 0.2);
  loss.backward();
  expectClose(await read(loss), [0.5 * ((0.8 ** 2 + 2.8 ** 2) / 2)], loose);
  expectClose(await read(clipFraction), [1], loose);
  expectClose(await read(values.grad), [0, 0], loose);
});

test("estimates of the divergence agree with its definition in the mean", async () => {
  // π = (0.5, 0.5), π₀ = (0.8, 0.2): each token as often as π says.
  const [own, reference] = [logs([0.5, 0.5]), logs([0.8, 0.2])];
  const exactly = 0.5 * Math.log(0.5 / 0.8) + 0.5 * Math.log(0.5 / 0.2);
  expectClose(await read(klEstimate(own, reference, "k1").mean()), [exactly], loose);
  expectClose(await read(klEstimate(own, reference, "k3").mean()), [exactly], loose);
  const k2 = (Math.log(0.5 / 0.8) ** 2 + Math.log(0.5 / 0.2) ** 2) / 4;
  expectClose(await read(klEstimate(own, reference, "k2").mean()), [k2], loose);
});
