import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../src/models/load.ts";
import { apply } from "../../src/tensor/op.ts";
import { linearCrossEntropy } from "../../src/tensor/ops/cross-entropy.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { backends } from "./backends.ts";
import { Fixture } from "./fixture.ts";

let fixture: Fixture;
beforeAll(async () => {
  fixture = await Fixture.open("prefix-lm");
});
afterAll(() => fixture.close());

describe.each(backends)("a decoder that sees its whole prefix, on %s", (_, backend) => {
  test("logits, loss and every gradient", async () => {
    const { model, family } = await loadModel(fixture.folder, backend);
    const [, batch = 0, time = 0] = fixture.shape("input_ids");
    const prefixLengths = await fixture.ids("prefix_lengths", 0);
    expect(new Set(prefixLengths).size).toBeGreaterThan(1);
    const ids = Tensor.from(backend, await fixture.ids("input_ids", 0), [batch, time]);
    const hidden = model.forward(ids, { mask: { causal: true, prefixLengths } });
    await fixture.expectClose(await model.logits(hidden.detach()).read(), "logits");

    const targets = Tensor.from(backend, await fixture.ids("targets", 0), [batch * time]);
    const counted = (await targets.read()).filter((target) => target >= 0).length;
    const rows = hidden.reshape([batch * time, -1]);
    const loss = apply(linearCrossEntropy, [rows, model.outputWeight], { targets, scale: 1 / counted });
    await fixture.expectClose(await loss.read(), "loss");
    loss.backward();
    await fixture.expectAllClose(family.tensors(model), "gradient.", ({ parameter }) => parameter.grad);
  });
});
