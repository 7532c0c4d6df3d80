import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mixtral } from "../../src/models/decoders/mixtral.ts";
import { loadModelOf } from "../../src/models/load.ts";
import { routerZLoss } from "../../src/nn/routed-experts.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { PredictionBatch } from "../../src/train/objectives/next-token.ts";
import { trainingLoss } from "../../src/train/objectives/next-token.ts";
import { backends } from "./backends.ts";
import { Fixture } from "./fixture.ts";
import { gradientOf } from "./gradient-of.ts";
import { lossCases } from "./loss-fixture.ts";
import { trainAsRecorded } from "./train-as-recorded.ts";

let fixture: Fixture;
beforeAll(async () => {
  fixture = await Fixture.open("mixtral");
});
afterAll(() => fixture.close());

describe.each(backends)("mixtral on %s", (_, backend) => {
  test("logits, routing, losses and every gradient", async () => {
    const model = await loadModelOf(mixtral, fixture.folder, backend);
    const tokens = await batchOf(0);
    const { hidden, routerLogits } = model.route(Tensor.from(backend, tokens.inputs, [tokens.batch, tokens.time]));
    await fixture.expectClose(await model.logits(hidden).read(), "logits");
    const routed = await Promise.all(routerLogits.map((logits) => logits.read()));
    await fixture.expectClose(
      routed.flatMap((values) => [...values]),
      "router_logits",
    );
    const { loss, metrics } = trainingLoss(model, tokens, null);
    await fixture.expectClose(await loss.read(), "loss");
    await fixture.expectClose(await metrics.next_token_loss!.read(), "next_token_loss");
    await fixture.expectClose(await metrics.load_balance_loss!.read(), "load_balance_loss");
    loss.backward();
    await fixture.expectAllClose(mixtral.tensors(model), "gradient.", gradientOf(model));
  });

  test("gradients with attention computed again", async () => {
    const model = await loadModelOf(mixtral, fixture.folder, backend);
    trainingLoss(model, await batchOf(0), null, { recompute: true }).loss.backward();
    await fixture.expectAllClose(mixtral.tensors(model), "gradient.", gradientOf(model));
  });

  test("ten steps of AdamW", async () => {
    const model = await loadModelOf(mixtral, fixture.folder, backend);
    const log = await trainAsRecorded(fixture, fixture.runs.get("adamw")!, model, trainingLoss, batchOf);
    await fixture.expectClose(log.losses, "adamw.losses");
    await fixture.expectClose(log.norms, "adamw.gradient_norms");
    await fixture.expectAllClose(mixtral.tensors(model), "adamw.weight.", ({ parameter }) => parameter);
  });
});

test("the loss of large router logits", async () => {
  const cases = await lossCases("router-losses", "router_z");
  expect(cases.map(({ name }) => name)).toEqual(["z"]);
  for (const one of cases) {
    const logits = await one.leaf("router_logits");
    const loss = routerZLoss(logits.reshape(one.shape("input.router_logits")));
    await one.expectOutput("loss", loss);
    loss.backward();
    await one.expectGradients();
  }
});

async function batchOf(step: number): Promise<PredictionBatch> {
  const [, batch = 0, time = 0] = fixture.shape("input_ids");
  return { batch, time, inputs: await fixture.ids("input_ids", step), targets: await fixture.ids("targets", step) };
}
