import { afterAll, beforeAll, describe, test } from "vitest";
import { loadModel } from "../../src/models/load.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { PredictionBatch } from "../../src/train/objectives/next-token.ts";
import { nextTokenLoss } from "../../src/train/objectives/next-token.ts";
import { backends } from "./backends.ts";
import { Fixture } from "./fixture.ts";
import { gradientOf } from "./gradient-of.ts";
import { trainAsRecorded } from "./train-as-recorded.ts";

let fixture: Fixture;
beforeAll(async () => {
  fixture = await Fixture.open("llama");
});
afterAll(() => fixture.close());

describe.each(backends)("llama on %s", (_, backend) => {
  test("logits, loss and every gradient", async () => {
    const { model, family } = await loadModel(fixture.folder, backend);
    const tokens = await batchOf(0);
    const ids = Tensor.from(backend, tokens.inputs, [tokens.batch, tokens.time]);
    await fixture.expectClose(await model.logits(model.forward(ids)).read(), "logits");
    const loss = nextTokenLoss(model, tokens, null);
    await fixture.expectClose(await loss.read(), "loss");
    loss.backward();
    await fixture.expectAllClose(family.tensors(model), "gradient.", gradientOf(model));
  });

  test("ten steps of AdamW", async () => {
    const { model, family } = await loadModel(fixture.folder, backend);
    const log = await trainAsRecorded(fixture, fixture.runs.get("adamw")!, model, nextTokenLoss, batchOf);
    await fixture.expectClose(log.losses, "adamw.losses");
    await fixture.expectClose(log.norms, "adamw.gradient_norms");
    await fixture.expectAllClose(family.tensors(model), "adamw.weight.", ({ parameter }) => parameter);
  });
});

async function batchOf(step: number): Promise<PredictionBatch> {
  const [, batch = 0, time = 0] = fixture.shape("input_ids");
  return { batch, time, inputs: await fixture.ids("input_ids", step), targets: await fixture.ids("targets", step) };
}
