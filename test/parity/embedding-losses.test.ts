import { expect, test } from "vitest";
import { concat } from "../../src/tensor/ops/movement.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { cosentLoss, cosineLoss, inBatchLoss, tripletLoss } from "../../src/train/objectives/embedding.ts";
import type { LossCase } from "./loss-fixture.ts";
import { lossCases } from "./loss-fixture.ts";

const fixture = "embedding-losses";

/** A recorded matrix, whose leaf is flat. */
async function matrix(one: LossCase, name: string): Promise<Tensor> {
  return (await one.leaf(name)).reshape([...one.shape(`input.${name}`)]);
}

async function expectRecorded(one: LossCase, loss: Tensor): Promise<void> {
  loss.backward();
  await one.expectOutput("loss", loss);
  await one.expectGradients();
}

for (const one of await lossCases(fixture, "in_batch")) {
  test(one.name, async () => {
    const [anchors, positives] = [await matrix(one, "anchors"), await matrix(one, "positives")];
    const more = one.shape("input.negatives")[0] === 0 ? [] : [await matrix(one, "negatives")];
    await expectRecorded(one, inBatchLoss(anchors, concat([positives, ...more], 0), one.setting("scale")));
  });
}

for (const one of await lossCases(fixture, "triplet")) {
  test(one.name, async () => {
    const [anchors, positives] = [await matrix(one, "anchors"), await matrix(one, "positives")];
    await expectRecorded(one, tripletLoss(anchors, positives, await matrix(one, "negatives"), one.setting("margin")));
  });
}

for (const one of await lossCases(fixture, "cosent")) {
  test(one.name, async () => {
    const [first, second] = [await matrix(one, "first"), await matrix(one, "second")];
    const scores = await one.values("input.scores");
    await expectRecorded(one, cosentLoss(first, second, scores, one.setting("scale")));
  });
}

for (const one of await lossCases(fixture, "cosine")) {
  test(one.name, async () => {
    const [first, second] = [await matrix(one, "first"), await matrix(one, "second")];
    await expectRecorded(one, cosineLoss(first, second, await one.values("input.scores")));
  });
}

test("all cases were found", async () => {
  const names = ["in_batch", "triplet", "cosent", "cosine"];
  const counts = await Promise.all(names.map(async (name) => (await lossCases(fixture, name)).length));
  expect(counts).toEqual([2, 1, 1, 1]);
});
