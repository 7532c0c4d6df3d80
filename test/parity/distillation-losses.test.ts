import { expect, test } from "vitest";
import { divergences } from "../../src/train/objectives/distillation.ts";
import { lossCases } from "./loss-fixture.ts";

for (const one of await lossCases("distillation-losses", "distillation")) {
  test(one.name, async () => {
    const student = await one.leaf("student");
    const teacher = await one.constant("teacher");
    const rows = divergences(student.reshape([5, 7]), teacher.reshape([5, 7]), {
      divergence: one.setting("divergence"),
      beta: one.setting("beta"),
      temperature: one.setting("temperature"),
    });
    await one.expectOutput("rows", rows.detach());
    const loss = rows.mean();
    loss.backward();
    await one.expectOutput("loss", loss);
    await one.expectGradients();
  });
}

test("all cases were found", async () => {
  expect(await lossCases("distillation-losses", "distillation")).toHaveLength(5);
});
