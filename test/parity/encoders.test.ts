import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/kernels.ts";
import { toStored } from "../../src/checkpoint/assign-tensors.ts";
import { openModelFolder } from "../../src/checkpoint/model-folder.ts";

import { openSafetensors } from "../../src/checkpoint/safetensors-file.ts";
import { encoderNamed } from "../../src/models/encoders.ts";
import type { TensorBinding } from "../../src/models/family.ts";
import { loadModelOf } from "../../src/models/load.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { classificationLoss } from "../../src/train/objectives/classification.ts";
import { maskedWordsLoss } from "../../src/train/objectives/masked-words.ts";
import { backends } from "./backends.ts";
import { gradientOf } from "./gradient-of.ts";

const fixtures = join(import.meta.dirname, "fixtures", "encoders");
const names = readdirSync(fixtures).sort();

/** Largest difference between two tensors, relative where the numbers are above 1. */
function gap(actual: ArrayLike<number>, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  return expected.reduce(
    (most, x, i) => Math.max(most, Math.abs((actual[i] ?? Number.NaN) - x) / Math.max(1, Math.abs(x))),
    0,
  );
}

/** What a fixture's model makes of its batch. */
async function computed(
  name: string,
  backend: Backend,
  recorded: Awaited<ReturnType<typeof openSafetensors>>,
): Promise<{ logits: Tensor; loss: Tensor; bindings: readonly TensorBinding[]; model: object }> {
  const folder = join(fixtures, name);
  const { config, close } = await openModelFolder(folder);
  await close();
  const family = encoderNamed(config)!;
  const [batch = 0, time = 0] = recorded.info("input_ids").shape;
  const inputs = await recorded.readIntegers("input_ids");
  const lengths = await recorded.readIntegers("lengths");
  const targets = await recorded.readIntegers("targets");
  const ids = Tensor.from(backend, inputs, [batch, time]);
  if (name.endsWith("classifier")) {
    const model = await loadModelOf(family.classifier, folder, backend);
    const logits = model.forward(ids, { lengths });
    return { logits, loss: classificationLoss(logits, targets), bindings: family.classifier.tensors(model), model };
  }
  const model = await loadModelOf(family.words, folder, backend, {
    missing: { random: null, report: () => undefined },
  });
  const logits = model.logits(model.forward(ids, { lengths }));
  const segments = new Int32Array(inputs.length);
  const masked = { batch, time, inputs, targets, lengths, segments, relationships: null };
  const bindings = family.words.tensors(model).filter((binding) => recorded.has(`gradient.${binding.name}`));
  return { logits, loss: maskedWordsLoss(model, masked, null).loss, bindings, model };
}

describe.each(backends)("on %s", (_, backend) => {
  test.each(names)("%s: logits, loss and every gradient are those of transformers", async (name) => {
    const recorded = await openSafetensors(join(fixtures, name, "recorded.safetensors"));
    const { logits, loss, bindings, model } = await computed(name, backend, recorded);
    const [expectedLogits, lengths] = [await recorded.read("logits"), await recorded.readIntegers("lengths")];
    const values = await logits.floats();
    if (name.endsWith("classifier")) expect(gap(values, expectedLogits)).toBeLessThan(1e-4);
    else {
      // What is computed at padding is nobody's.
      const [, time = 0, width = 0] = recorded.info("logits").shape;
      for (const [row, length] of lengths.entries()) {
        const [start, end] = [row * time * width, (row * time + length) * width];
        expect(gap(values.subarray(start, end), expectedLogits.subarray(start, end))).toBeLessThan(1e-4);
      }
    }
    expect(gap(await loss.floats(), await recorded.read("loss"))).toBeLessThan(1e-5);
    loss.backward();
    const gradients = new Map<string, number>();
    for (const binding of bindings) {
      const own = gradientOf(model)(binding);
      const gradient = own ? await own.floats() : new Float32Array(binding.parameter.size);
      const expected = await recorded.read(`gradient.${binding.name}`);
      gradients.set(binding.name, gap(toStored({ ...binding, tensor: binding.parameter }, gradient), expected));
    }
    expect(gradients.size).toBe(recorded.names().filter((key) => key.startsWith("gradient.")).length);
    expect([...gradients].filter(([, difference]) => !(difference < 1e-4))).toEqual([]);
    await recorded.close();
  });
});
