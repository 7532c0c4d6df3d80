import { afterAll, beforeAll, describe, test } from "vitest";
import type { TextPairs } from "../../src/data/span-corruption.ts";
import { t5 } from "../../src/models/encoder-decoders/t5.ts";
import { loadModelOf } from "../../src/models/load.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { textToTextLoss } from "../../src/train/objectives/text-to-text.ts";
import { backends } from "./backends.ts";
import { Fixture } from "./fixture.ts";
import { gradientOf } from "./gradient-of.ts";
import { trainAsRecorded } from "./train-as-recorded.ts";

describe.each(["t5", "t5-gated"])("%s", (name) => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await Fixture.open(name);
  });
  afterAll(() => fixture.close());

  describe.each(backends)("on %s", (_, backend) => {
    test("hidden states, logits, loss and every gradient", async () => {
      const model = await loadModelOf(t5, fixture.folder, backend);
      const pairs = await pairsOf(0);
      const { batch, time, targets, targetTime } = pairs;
      const text = model.encode(Tensor.from(backend, pairs.inputs, [batch, time]), pairs.lengths);
      await fixture.expectClose(await text.hidden.read(), "encoder_hidden");
      const moved = targets.map((_id, i) => (i % targetTime === 0 ? 0 : Math.max(targets[i - 1]!, 0)));
      const hidden = model.decode(Tensor.from(backend, moved, [batch, targetTime]), text);
      await fixture.expectClose(await model.logits(hidden).read(), "logits");
      const loss = textToTextLoss(model, pairs, null);
      await fixture.expectClose(await loss.read(), "loss");
      loss.backward();
      await fixture.expectAllClose(t5.tensors(model), "gradient.", gradientOf(model));
    });

    test("gradients with blocks computed again", async () => {
      const model = await loadModelOf(t5, fixture.folder, backend);
      textToTextLoss(model, await pairsOf(0), null, { recompute: true }).backward();
      await fixture.expectAllClose(t5.tensors(model), "gradient.", gradientOf(model));
    });

    test("ten steps of AdamW", async () => {
      const model = await loadModelOf(t5, fixture.folder, backend);
      const log = await trainAsRecorded(fixture, fixture.runs.get("adamw")!, model, textToTextLoss, pairsOf);
      await fixture.expectClose(log.losses, "adamw.losses");
      await fixture.expectClose(log.norms, "adamw.gradient_norms");
      await fixture.expectAllClose(t5.tensors(model), "adamw.weight.", ({ parameter }) => parameter);
    });
  });

  async function pairsOf(step: number): Promise<TextPairs> {
    const [[, batch = 0, time = 0], [, , targetTime = 0]] = [fixture.shape("input_ids"), fixture.shape("targets")];
    const input = (of: string): Promise<Int32Array> => fixture.ids(of, step);
    const [inputs, lengths, targets] = [await input("input_ids"), await input("lengths"), await input("targets")];
    return { batch, time, inputs, lengths, targets, targetTime };
  }
});
