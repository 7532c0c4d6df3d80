import { expect, test } from "vitest";
import { dpoLoss } from "../../src/train/objectives/dpo.ts";
import { lossCases } from "./loss-fixture.ts";

for (const one of await lossCases("dpo-losses", "dpo")) {
  test(one.name, async () => {
    const policy = { chosen: await one.leaf("policy_chosen"), rejected: await one.leaf("policy_rejected") };
    const reference = {
      chosen: await one.constant("reference_chosen"),
      rejected: await one.constant("reference_rejected"),
    };
    const { loss, chosenRewards, rejectedRewards } = dpoLoss(policy, reference, {
      kind: one.setting("loss"),
      beta: one.setting("beta"),
      labelSmoothing: one.setting("label_smoothing"),
    });
    await one.expectOutput("chosen_rewards", chosenRewards);
    await one.expectOutput("rejected_rewards", rejectedRewards);
    loss.backward();
    await one.expectOutput("loss", loss);
    await one.expectGradients();
  });
}

test("all cases were found", async () => {
  expect(await lossCases("dpo-losses", "dpo")).toHaveLength(5);
});
