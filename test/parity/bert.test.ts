import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import type { MaskedBatch } from "../../src/data/masked-words.ts";
import { defaultColumns } from "../../src/data/task-examples.ts";
import type { TaskBatch } from "../../src/data/task-inputs.ts";
import { bert, bertClassifier } from "../../src/models/bert-families.ts";
import { EncoderTaskModel } from "../../src/models/encoder-task-model.ts";
import { loadModelOf } from "../../src/models/load.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { maskedWordsLoss } from "../../src/train/objectives/masked-words.ts";
import { taskObjective } from "../../src/train/task-objective.ts";
import { backends } from "./backends.ts";
import { Fixture } from "./fixture.ts";
import { gradientOf } from "./gradient-of.ts";
import { trainAsRecorded } from "./train-as-recorded.ts";

describe("bert", () => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await Fixture.open("bert");
  });
  afterAll(() => fixture.close());

  describe.each(backends)("on %s", (_, backend) => {
    test("logits, losses and every gradient", async () => {
      const model = await loadModelOf(bert, fixture.folder, backend);
      const batch = await batchOf(0);
      const ids = Tensor.from(backend, batch.inputs, [batch.batch, batch.time]);
      const hidden = model.forward(ids, batch);
      await fixture.expectClose(await model.logits(hidden).read(), "logits");
      await fixture.expectClose(await model.relationshipLogits(hidden).read(), "seq_relationship_logits");
      const { loss, metrics } = maskedWordsLoss(model, batch, null);
      await fixture.expectClose(await loss.read(), "loss");
      await fixture.expectClose(await metrics.masked_word_loss!.read(), "masked_word_loss");
      await fixture.expectClose(await metrics.next_sentence_loss!.read(), "next_sentence_loss");
      loss.backward();
      await fixture.expectAllClose(bert.tensors(model), "gradient.", gradientOf(model));
    });

    test("ten steps of AdamW", async () => {
      const model = await loadModelOf(bert, fixture.folder, backend);
      const log = await trainAsRecorded(fixture, fixture.runs.get("adamw")!, model, maskedWordsLoss, batchOf);
      await fixture.expectClose(log.losses, "adamw.losses");
      await fixture.expectClose(log.norms, "adamw.gradient_norms");
      await fixture.expectAllClose(bert.tensors(model), "adamw.weight.", ({ parameter }) => parameter);
    });
  });

  async function batchOf(step: number): Promise<MaskedBatch> {
    const [, batch = 0, time = 0] = fixture.shape("input_ids");
    const input = (name: string): Promise<Int32Array> => fixture.ids(name, step);
    return {
      ...{ batch, time, inputs: await input("input_ids"), targets: await input("targets") },
      ...{ segments: await input("token_type_ids"), lengths: await input("lengths") },
      relationships: await input("next_sentence_label"),
    };
  }
});

describe.each(["bert-classification", "bert-multiple-choice"])("%s", (name) => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await Fixture.open(name);
  });
  afterAll(() => fixture.close());

  test.each(backends)("logits, loss and every gradient on %s", async (_, backend) => {
    const classifier = await loadModelOf(bertClassifier, fixture.folder, backend);
    const batch = await taskBatch();
    const ids = Tensor.from(backend, batch.ids, [batch.batch, batch.time]);
    const logits = classifier.forward(ids, { segments: batch.typeIds, lengths: batch.lengths });
    await fixture.expectClose(await logits.read(), "logits");
    const task = classifier.settings.task === "multiple-choice" ? "multiple-choice" : "classification";
    const tokens = { start: "", delimiter: "", extract: "" };
    const { labels } = classifier.settings;
    const description = { task, labels, columns: defaultColumns[task], tokens } as const;
    const model = new EncoderTaskModel(description, classifier, 0);
    const { loss } = taskObjective(model, batch, null, 0);
    await fixture.expectClose(await loss.read(), "loss");
    loss.backward();
    await fixture.expectAllClose(bertClassifier.tensors(classifier), "gradient.", gradientOf(classifier));
  });

  async function taskBatch(): Promise<TaskBatch> {
    const ids = await fixture.ids("input_ids", 0);
    const time = fixture.shape("input_ids").at(-1)!;
    const [typeIds, lengths] = [await fixture.ids("token_type_ids", 0), await fixture.ids("lengths", 0)];
    const targets = Float32Array.from(await fixture.ids("labels", 0));
    const batch = ids.length / time; // choices are rows of the batch
    const inputCounts = new Int32Array(targets.length).fill(batch / targets.length);
    return { ids, batch, time, typeIds, lengths, targets, inputCounts };
  }

  test("says what it classifies", async () => {
    const { settings } = await loadModelOf(bertClassifier, fixture.folder, openReference());
    const expected =
      name === "bert-classification"
        ? { task: "sequence-classification", labels: ["LABEL_0", "LABEL_1", "LABEL_2"] }
        : { task: "multiple-choice", labels: [] };
    expect(settings).toMatchObject(expected);
  });
});
