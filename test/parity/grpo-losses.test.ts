import { expect, test } from "vitest";
import { groupAdvantages, grpoLoss } from "../../src/train/objectives/grpo.ts";
import { lossCases } from "./loss-fixture.ts";

/** Lengths of the sequences in the fixture's mask. */
const lengths = [9, 4, 7, 1, 6];

for (const one of await lossCases("grpo-losses", "grpo")) {
  test(one.name, async () => {
    const beta = one.setting<number>("beta");
    const result = grpoLoss(
      {
        logProbs: await one.leaf("log_probs"),
        oldLogProbs: await one.constant("old_log_probs"),
        referenceLogProbs: beta === 0 ? null : await one.constant("reference_log_probs"),
        advantages: [...(await one.values("input.advantages"))],
        lengths,
        isLearnt: lengths.map(() => true),
      },
      {
        lossType: one.setting("loss_type"),
        epsilon: one.setting("epsilon"),
        epsilonHigh: one.setting("epsilon_high"),
        maxNewTokens: one.setting("max_length"),
        beta,
      },
    );
    await one.expectOutput("clipped_low", result.clippedLow);
    await one.expectOutput("clipped_high", result.clippedHigh);
    if (result.kl) await one.expectOutput("kl", result.kl);
    result.loss.backward();
    await one.expectOutput("loss", result.loss);
    await one.expectGradients();
  });
}

for (const one of await lossCases("grpo-losses", "group_advantages")) {
  test(one.name, async () => {
    const rewards = [...(await one.values("input.rewards"))];
    const { advantages, groupDeviations } = groupAdvantages(rewards, 4, one.setting("scale"));
    await one.expectOutput("advantages", advantages);
    await one.expectOutput("deviations", groupDeviations);
  });
}

test("all cases were found", async () => {
  const found = await Promise.all(["grpo", "group_advantages"].map((name) => lossCases("grpo-losses", name)));
  expect(found.map(({ length }) => length)).toEqual([5, 3]);
});
