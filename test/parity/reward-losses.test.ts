import { expect, test } from "vitest";
import { concat } from "../../src/tensor/ops/movement.ts";
import { rankedPairs, rankingLoss } from "../../src/train/objectives/reward.ts";
import { lossCases } from "./loss-fixture.ts";

for (const one of await lossCases("reward-losses", "pairwise_reward")) {
  test(one.name, async () => {
    const [chosen, rejected] = [await one.leaf("chosen"), await one.leaf("rejected")];
    const count = chosen.size;
    const pairs = {
      ...rankedPairs(Array.from({ length: count }, () => [1, 2])),
      better: Int32Array.from({ length: count }, (_, i) => i),
      worse: Int32Array.from({ length: count }, (_, i) => count + i),
    };
    const given = await one.constant("margins");
    const margins = given ? await given.floats() : pairs.margins;
    const rewards = concat([chosen, rejected], 0);
    const { loss, accuracy } = rankingLoss(rewards, { ...pairs, margins }, one.setting("center_coefficient"));
    await one.expectOutput("accuracy", accuracy);
    loss.backward();
    await one.expectOutput("loss", loss);
    await one.expectGradients();
  });
}

for (const one of await lossCases("reward-losses", "k_wise_reward")) {
  test(one.name, async () => {
    const rewards = await one.leaf("rewards");
    const [prompts = 0, answers = 0] = one.shape("input.ranks");
    const ranks = await one.integers("input.ranks");
    const rankings = Array.from({ length: prompts }, (_, i) => [...ranks.slice(i * answers, (i + 1) * answers)]);
    const pairs = rankedPairs(rankings, one.setting("margin_per_rank"));
    const { loss } = rankingLoss(rewards, pairs);
    loss.backward();
    await one.expectOutput("loss", loss);
    await one.expectGradients();
  });
}

test("all cases were found", async () => {
  expect(await lossCases("reward-losses", "pairwise_reward")).toHaveLength(3);
  expect(await lossCases("reward-losses", "k_wise_reward")).toHaveLength(3);
});
