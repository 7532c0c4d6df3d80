import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/kernels.ts";
import type { Placement } from "../../src/checkpoint/assign-tensors.ts";
import { toStored } from "../../src/checkpoint/assign-tensors.ts";
import { openSafetensors } from "../../src/checkpoint/safetensors-file.ts";
import type { TensorSource } from "../../src/checkpoint/tensor-source.ts";
import { latentDivergence } from "../../src/models/pictures/autoencoder.ts";
import { autoencoderPart } from "../../src/models/pictures/autoencoder-folder.ts";
import type { DiffusersPart } from "../../src/models/pictures/diffusers-folder.ts";
import { openDiffusersPart, placementsOf, writeDiffusersPart } from "../../src/models/pictures/diffusers-folder.ts";
import { unetPart } from "../../src/models/pictures/unet-folder.ts";
import type { Parameter } from "../../src/nn/parameters.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { expectClose, firstDifference } from "../closeness.ts";
import { backends } from "./backends.ts";
import { gradientOf } from "./gradient-of.ts";

const fixtures = join(import.meta.dirname, "fixtures", "pictures");
const closely = { absolute: 1e-4, relative: 1e-4 };

async function withRecorded(name: string, body: (recorded: TensorSource) => Promise<void>): Promise<void> {
  const recorded = await openSafetensors(join(fixtures, name, "recorded.safetensors"));
  try {
    await body(recorded);
  } finally {
    await recorded.close();
  }
}

async function input(recorded: TensorSource, name: string, backend: Backend): Promise<Tensor> {
  return Tensor.from(backend, await recorded.read(name), recorded.info(name).shape);
}

/** Σ wᵢ yᵢ with the weights of the recording script. */
function weighted(y: Tensor): Tensor {
  const weights = Float32Array.from({ length: y.size }, (_, i) => Math.cos(1 + 1.7 * i));
  return y.mul(Tensor.from(y.backend, weights, y.shape)).sum();
}

/** Compares every gradient with what was recorded, to a share of the largest of its tensor. */
async function expectGradients(model: object, placements: readonly Placement[], recorded: TensorSource): Promise<void> {
  const ofBinding = gradientOf(model);
  for (const placement of placements) {
    const { name, tensor } = placement;
    const gradient = ofBinding({ name, parameter: tensor as Parameter, transposed: false });
    const actual = gradient ? toStored(placement, await gradient.floats()) : new Float32Array(tensor.size);
    const expected = await recorded.read(`gradient.${name}`);
    const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
    expect(firstDifference(actual, expected, { absolute: 1e-4 * largest, relative: 1e-4 }), name).toBeNull();
  }
}

describe.each(backends)("on %s", (_, backend) => {
  test.each(["unet", "unet-linear"])("%s", (name) =>
    withRecorded(name, async (recorded) => {
      const model = await openDiffusersPart(unetPart, join(fixtures, name), backend);
      const [noisy, times, states] = await Promise.all(
        ["noisy", "times", "text"].map((part) => input(recorded, part, backend)),
      );
      const text = { states: states as Tensor, lengths: await recorded.readIntegers("lengths") };
      const output = model.denoise(noisy as Tensor, times as Tensor, text, null);
      const values = await output.floats();
      weighted(output).backward();
      expectClose(values, await recorded.read("output"), closely);
      await expectGradients(model, placementsOf(unetPart, model), recorded);
    }),
  );

  test("autoencoder", () =>
    withRecorded("autoencoder", async (recorded) => {
      const model = await openDiffusersPart(autoencoderPart, join(fixtures, "autoencoder"), backend);
      const moments = model.encode(await input(recorded, "pictures", backend));
      const [divergence, decoded] = [latentDivergence(moments), model.decode(moments.mean)];
      const made = { mean: moments.mean, log_variance: moments.logVariance, kl: divergence, decoded };
      const values = await Promise.all(
        Object.entries(made).map(async ([name, tensor]) => [name, await tensor.floats()] as const),
      );
      weighted(decoded).add(divergence.sum()).backward();
      for (const [name, own] of values) expectClose(own, await recorded.read(name), closely);
      await expectGradients(model, placementsOf(autoencoderPart, model), recorded);
    }));
});

test.each([
  ["unet", unetPart],
  ["unet-linear", unetPart],
  ["autoencoder", autoencoderPart],
] as const)("%s is written as it was read", async (name, known) => {
  const [[, backend]] = backends as readonly [(typeof backends)[number]];
  const part = known as DiffusersPart<unknown, object>;
  const folder = await mkdtemp(join(tmpdir(), "stemma-pictures-"));
  try {
    const target = join(folder, "part");
    await writeDiffusersPart(part, await openDiffusersPart(part, join(fixtures, name), backend), target);
    const [theirs, ours] = await Promise.all([join(fixtures, name), target].map((at) => filesOf(at)));
    expect(ours?.weights).toEqual(theirs?.weights);
    await writeFile(join(target, "notes.txt"), "mine");
    const again = openDiffusersPart(part, target, backend).then((model) => writeDiffusersPart(part, model, target));
    await expect(again).rejects.toThrow("holds notes.txt, which is not part of a model");
    for (const [key, value] of Object.entries(ours?.config ?? {})) {
      // One number of heads for all levels may be written out for each.
      const expected = theirs?.config[key];
      expect(key === "attention_head_dim" && Array.isArray(value) ? value.at(-1) : value, key).toEqual(
        key === "attention_head_dim" && Array.isArray(expected) ? expected.at(-1) : expected,
      );
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

async function filesOf(folder: string): Promise<{ config: Record<string, unknown>; weights: [string, number[]][] }> {
  const config = JSON.parse(await readFile(join(folder, "config.json"), "utf8")) as Record<string, unknown>;
  const source = await openSafetensors(join(folder, "diffusion_pytorch_model.safetensors"));
  try {
    const names = source.names().toSorted();
    const weights = names.map(async (name): Promise<[string, number[]]> => [name, [...(await source.read(name))]]);
    return { config, weights: await Promise.all(weights) };
  } finally {
    await source.close();
  }
}
