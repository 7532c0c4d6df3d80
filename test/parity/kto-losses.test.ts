import { expect, test } from "vitest";
import { ktoLoss } from "../../src/train/objectives/kto.ts";
import { lossCases } from "./loss-fixture.ts";

for (const one of await lossCases("kto-losses", "kto")) {
  test(one.name, async () => {
    const policy = await one.leaf("policy");
    const other = await one.constant("policy_mismatched");
    const { loss, kl, rewards } = ktoLoss(
      {
        logRatios: policy.sub(await one.constant("reference")),
        isDesirable: [...(await one.values("input.desirable"))].map((value) => value === 1),
        mismatched: other.sub(await one.constant("reference_mismatched")),
      },
      {
        beta: one.setting("beta"),
        desirableWeight: one.setting("desirable_weight"),
        undesirableWeight: one.setting("undesirable_weight"),
      },
    );
    await one.expectOutput("kl", kl);
    await one.expectOutput("rewards", rewards);
    loss.backward();
    await one.expectOutput("loss", loss);
    await one.expectGradients();
  });
}

test("all cases were found", async () => {
  expect(await lossCases("kto-losses", "kto")).toHaveLength(3);
});
