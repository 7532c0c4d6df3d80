import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../src/models/load.ts";
import type { LoadedModel } from "../../src/models/read-model.ts";
import { parameters } from "../../src/nn/parameters.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { PredictionBatch } from "../../src/train/objectives/next-token.ts";
import { nextTokenLoss } from "../../src/train/objectives/next-token.ts";
import { optimizerStep } from "../../src/train/optimizer-step.ts";
import type { Metrics } from "../../src/train/run.ts";
import { backends } from "./backends.ts";
import type { RecordedRun } from "./fixture.ts";
import { Fixture } from "./fixture.ts";

describe.each(["gpt1", "gpt2"])("%s", (name) => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await Fixture.open(name);
  });
  afterAll(() => fixture.close());

  test("has two recorded runs of ten steps", () => {
    expect([...fixture.runs.keys()]).toEqual(["adamw", "adamw_beta2_095"]);
    expect(fixture.steps).toBe(10);
  });

  describe.each(backends)("on %s", (_, backend) => {
    test("logits", async () => {
      const { model } = await loadModel(fixture.folder, backend);
      const tokens = await batchOf(fixture, 0);
      const ids = Tensor.from(backend, tokens.inputs, [tokens.batch, tokens.time]);
      await fixture.expectClose(await model.logits(model.forward(ids)).read(), "logits");
    });

    test("loss and every gradient", async () => {
      const { model, family } = await loadModel(fixture.folder, backend);
      const loss = nextTokenLoss(model, await batchOf(fixture, 0), null);
      await fixture.expectClose(await loss.read(), "loss");
      loss.backward();
      await fixture.expectAllClose(family.tensors(model), "gradient.", ({ parameter }) => parameter.grad);
    });

    test.each(["adamw", "adamw_beta2_095"])("ten steps of %s", async (run) => {
      const loaded = await loadModel(fixture.folder, backend);
      const log = await trainAsRecorded(loaded, fixture, fixture.runs.get(run)!);
      const logged = (key: string): number[] => log.map((metrics) => metrics[key] ?? Number.NaN);
      await fixture.expectClose(logged("loss"), `${run}.losses`);
      await fixture.expectClose(logged("grad_norm"), `${run}.gradient_norms`);
      const bindings = loaded.family.tensors(loaded.model);
      await fixture.expectAllClose(bindings, `${run}.weight.`, ({ parameter }) => parameter);
    });
  });
});

async function batchOf(fixture: Fixture, step: number): Promise<PredictionBatch> {
  const [, batch = 0, time = 0] = fixture.shape("input_ids");
  return { batch, time, inputs: await fixture.ids("input_ids", step), targets: await fixture.ids("targets", step) };
}

async function trainAsRecorded({ model }: LoadedModel, fixture: Fixture, run: RecordedRun): Promise<Metrics[]> {
  const { beta1, beta2, epsilon, weight_decay: weightDecay } = run;
  const update = {
    model,
    objective: nextTokenLoss,
    batches: async (step: number) => [{ batch: await batchOf(fixture, step), share: 1, tokens: 0 }],
    optimizer: new AdamW(parameters(model), { beta1, beta2, epsilon, weightDecay }),
    schedule: () => run.learning_rate,
    maxGradientNorm: run.max_gradient_norm,
    seed: 0,
  };
  const log: Metrics[] = [];
  for (let step = 0; step < fixture.steps; step++) log.push(await optimizerStep(update, step));
  return log;
}
