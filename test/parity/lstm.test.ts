import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadModelOf } from "../../src/models/load.ts";
import type { Lstm } from "../../src/models/lstm.ts";
import { lstm } from "../../src/models/lstm-family.ts";
import type { LstmState } from "../../src/nn/lstm-layer.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { tokenLoss } from "../../src/train/objectives/next-token.ts";
import { trainedRows } from "../../src/train/objectives/trained-rows.ts";
import { backends } from "./backends.ts";
import { Fixture } from "./fixture.ts";
import { gradientOf } from "./gradient-of.ts";
import { trainAsRecorded } from "./train-as-recorded.ts";

let fixture: Fixture;
beforeAll(async () => {
  fixture = await Fixture.open("lstm");
});
afterAll(() => fixture.close());

describe.each(backends)("lstm on %s", (_, backend) => {
  test("logits, states, loss and every gradient", async () => {
    const model = await loadModelOf(lstm, fixture.folder, backend);
    const batch = await batchOf(0);
    const { hidden, states } = read(model, batch);
    await fixture.expectClose(await model.logits(hidden).read(), "logits");
    for (const [name, part] of [
      ["h_n", "hidden"],
      ["c_n", "cells"],
    ] as const) {
      const last = await Promise.all(states.map((state) => lastStep(state[part]).read()));
      await fixture.expectClose(
        last.flatMap((values) => [...values]),
        name,
      );
    }
    const loss = lossFrom(model, batch);
    await fixture.expectClose(await loss.read(), "loss");
    loss.backward();
    await fixture.expectAllClose(lstm.tensors(model), "gradient.", gradientOf(model));
  });

  test("ten steps of AdamW", async () => {
    const model = await loadModelOf(lstm, fixture.folder, backend);
    const log = await trainAsRecorded(fixture, fixture.runs.get("adamw")!, model, lossFrom, batchOf);
    await fixture.expectClose(log.losses, "adamw.losses");
    await fixture.expectClose(log.norms, "adamw.gradient_norms");
    await fixture.expectAllClose(lstm.tensors(model), "adamw.weight.", ({ parameter }) => parameter);
  });
});

test("states of both steps are far from zero", async () => {
  expect(Math.max(...(await fixture.floats("h_0")).map(Math.abs))).toBeGreaterThan(0.4);
});

interface Batch {
  readonly batch: number;
  readonly time: number;
  readonly inputs: Int32Array;
  readonly targets: Int32Array;
  /** `[layers · batch · width]` */
  readonly hidden: Float32Array;
  readonly cells: Float32Array;
}

async function batchOf(step: number): Promise<Batch> {
  const [, batch = 0, time = 0] = fixture.shape("input_ids");
  const stateOf = async (name: string): Promise<Float32Array> => {
    const all = await fixture.floats(name);
    const each = all.length / fixture.steps;
    return all.slice(step * each, (step + 1) * each);
  };
  return {
    ...{ batch, time, inputs: await fixture.ids("input_ids", step), targets: await fixture.ids("targets", step) },
    ...{ hidden: await stateOf("h_0"), cells: await stateOf("c_0") },
  };
}

function read(model: Lstm, batch: Batch): ReturnType<Lstm["read"]> {
  const { width, layers } = model.settings;
  const size = batch.batch * width;
  const before = Array.from({ length: layers }, (_, layer): LstmState => {
    const of = (values: Float32Array): Tensor =>
      Tensor.from(model.backend, values.slice(layer * size, (layer + 1) * size), [batch.batch, width]);
    return { hidden: of(batch.hidden), cells: of(batch.cells) };
  });
  return model.read(Tensor.from(model.backend, batch.inputs, [batch.batch, batch.time]), before);
}

function lossFrom(model: Lstm, batch: Batch): Tensor {
  return tokenLoss(model, trainedRows(read(model, batch).hidden, batch.targets));
}

function lastStep(states: Tensor): Tensor {
  return states.slice(0, states.axis(0) - 1, states.axis(0));
}
