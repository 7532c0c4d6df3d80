import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import type { MaskedBatch } from "../../src/data/masked-words.ts";
import { bert, bertClassifier } from "../../src/models/bert-families.ts";
import { loadModelOf } from "../../src/models/load.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { classificationLoss } from "../../src/train/objectives/classification.ts";
import { maskedWordsLoss } from "../../src/train/objectives/masked-words.ts";
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
    const model = await loadModelOf(bertClassifier, fixture.folder, backend);
    const values = await fixture.ids("input_ids", 0); // choices are rows of the batch
    const time = fixture.shape("input_ids").at(-1)!;
    const ids = Tensor.from(backend, values, [values.length / time, time]);
    const [segments, lengths] = [await fixture.ids("token_type_ids", 0), await fixture.ids("lengths", 0)];
    const logits = model.forward(ids, { segments, lengths }).reshape(fixture.shape("logits"));
    await fixture.expectClose(await logits.read(), "logits");
    const loss = classificationLoss(logits, await fixture.ids("labels", 0));
    await fixture.expectClose(await loss.read(), "loss");
    loss.backward();
    await fixture.expectAllClose(bertClassifier.tensors(model), "gradient.", gradientOf(model));
  });

  test("says what it classifies", async () => {
    const { settings } = await loadModelOf(bertClassifier, fixture.folder, openReference());
    const expected =
      name === "bert-classification"
        ? { task: "sequence-classification", labels: ["LABEL_0", "LABEL_1", "LABEL_2"] }
        : { task: "multiple-choice", labels: [] };
    expect(settings).toMatchObject(expected);
  });
});
