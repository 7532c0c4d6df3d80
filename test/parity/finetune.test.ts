import { expect, test } from "vitest";
import type { Backend } from "../../src/backend/kernels.ts";
import { openModelFolder } from "../../src/checkpoint/model-folder.ts";
import type { TaskBatch } from "../../src/data/task-inputs.ts";
import { likelihoodsAlone, likelihoodsOfChoices } from "../../src/eval/token-likelihoods.ts";
import { gpt2 } from "../../src/models/gpt-families.ts";
import type { DecoderTaskModel } from "../../src/models/task-model.ts";
import { openTaskModel } from "../../src/models/task-model.ts";
import { taskObjective, taskOutputs } from "../../src/train/task-objective.ts";
import { backends } from "./backends.ts";
import { Fixture } from "./fixture.ts";

/** Inputs of each example, as the recording has them. */
const inputsOf = {
  "finetune-classification": 1,
  "finetune-similarity": 2,
  "finetune-score": 2,
  "finetune-choice": 3,
} as const;

async function open(fixture: Fixture, backend: Backend): Promise<DecoderTaskModel> {
  const folder = await openModelFolder(fixture.folder);
  const { model } = await openTaskModel(folder, backend, { weights: "float32" });
  await folder.close();
  return model;
}

async function batchOf(fixture: Fixture, each: number): Promise<TaskBatch> {
  const [, batch = 0, time = 0] = fixture.shape("input_ids");
  const labels = await fixture.ids("labels", 0);
  const isScore = fixture.folder.endsWith("score");
  return {
    ...{ batch, time, ids: await fixture.ids("input_ids", 0), lengths: await fixture.ids("lengths", 0) },
    typeIds: new Int32Array(batch * time),
    inputCounts: new Int32Array(batch / each).fill(each),
    targets: Float32Array.from(labels, (label) => (isScore ? label / 4 : label)),
  };
}

test.each(
  Object.entries(inputsOf).flatMap(([name, each]) => backends.map(([on, backend]) => ({ name, each, on, backend }))),
)("$name on $on: outputs, both losses and every gradient", async ({ name, each, backend }) => {
  const fixture = await Fixture.open(name);
  const model = await open(fixture, backend);
  const batch = await batchOf(fixture, each);
  await fixture.expectClose(await taskOutputs(model, batch, model.read(batch, null), null).read(), "outputs");
  const { loss, metrics } = taskObjective(model, batch, null, 0.5);
  await fixture.expectClose(await loss.read(), "loss");
  await fixture.expectClose(await metrics.task_loss!.read(), "task_loss");
  await fixture.expectClose(await metrics.language_model_loss!.read(), "language_model_loss");
  loss.backward();
  const head = { name: "score.weight", parameter: model.score, transposed: false };
  const bindings = [...gpt2.tensors(model.body as never), head];
  const gradients = new Map(
    bindings.map(({ parameter }) => [parameter, (parameter as typeof model.score).grad] as const),
  );
  await fixture.expectAllClose(bindings, "gradient.", ({ parameter }) => gradients.get(parameter) ?? null);
  await fixture.close();
});

test.each(backends)(
  "log-likelihoods of continuations on %s, alone and as choices of one context",
  async (_, backend) => {
    const fixture = await Fixture.open("continuations");
    const { body } = await open(fixture, backend);
    const [, batch = 0, time = 0] = fixture.shape("input_ids");
    const [ids, lengths, starts] = await Promise.all(
      ["input_ids", "lengths", "starts"].map((name) => fixture.ids(name, 0)),
    );
    const requests = Array.from({ length: batch }, (_row, i) => {
      const row = ids!.subarray(i * time, i * time + lengths![i]!);
      return { context: row.slice(0, starts![i]), continuation: row.slice(starts![i]) };
    });
    const alone = await likelihoodsAlone(body, requests, 40, () => {});
    const asChoices = await likelihoodsOfChoices(
      body,
      requests.map((own) => [own, own]),
      90,
      () => {},
    );
    for (const found of [alone, asChoices.map(([, second]) => second!)]) {
      await fixture.expectClose(
        found.map(({ logProb }) => logProb),
        "log_likelihoods",
      );
      await fixture.expectClose(
        found.map(({ isGreedy }) => Number(isGreedy)),
        "is_greedy",
      );
    }
    expect(asChoices.every(([a, b]) => Math.abs(a!.logProb - b!.logProb) < 1e-4)).toBe(true);
    await fixture.close();
  },
);
