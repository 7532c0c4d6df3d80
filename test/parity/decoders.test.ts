import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { toStored } from "../../src/checkpoint/assign-tensors.ts";
import { openSafetensors } from "../../src/checkpoint/safetensors-file.ts";
import { loadModel } from "../../src/models/load.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { nextTokenLoss } from "../../src/train/objectives/next-token.ts";
import { backends } from "./backends.ts";
import { gradientOf } from "./gradient-of.ts";

const fixtures = join(import.meta.dirname, "fixtures", "decoders");
const names = readdirSync(fixtures).sort();

/** Largest difference between two tensors, relative where the numbers are above 1. */
function gap(actual: ArrayLike<number>, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  return expected.reduce(
    (most, x, i) => Math.max(most, Math.abs((actual[i] ?? Number.NaN) - x) / Math.max(1, Math.abs(x))),
    0,
  );
}

describe.each(backends)("on %s", (_, backend) => {
  test.each(names)("%s: logits, loss and every gradient are those of transformers", async (name) => {
    const folder = join(fixtures, name);
    const recorded = await openSafetensors(join(folder, "recorded.safetensors"));
    const { model, family } = await loadModel(folder, backend);
    const [batch = 0, time = 0] = recorded.info("input_ids").shape;
    const inputs = await recorded.readIntegers("input_ids");
    const logits = model.logits(model.forward(Tensor.from(backend, inputs, [batch, time])));
    expect(gap(await logits.floats(), await recorded.read("logits"))).toBeLessThan(1e-4);
    const loss = nextTokenLoss(model, { batch, time, inputs, targets: await recorded.readIntegers("targets") }, null);
    expect(gap(await loss.floats(), await recorded.read("loss"))).toBeLessThan(1e-5);
    loss.backward();
    const gradients = new Map<string, number>();
    for (const binding of family.tensors(model)) {
      const { shift: _, ...arranged } = binding;
      const own = gradientOf(model)(binding);
      const values = own ? await own.floats() : new Float32Array(binding.parameter.size);
      const expected = await recorded.read(`gradient.${binding.name}`);
      gradients.set(binding.name, gap(toStored({ ...arranged, tensor: binding.parameter }, values), expected));
    }
    expect([...gradients].filter(([, difference]) => !(difference < 1e-4))).toEqual([]);
    await recorded.close();
  });
});
