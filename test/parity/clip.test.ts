import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/kernels.ts";
import { openSafetensors } from "../../src/checkpoint/safetensors-file.ts";
import type { TensorSource } from "../../src/checkpoint/tensor-source.ts";
import { writePatches } from "../../src/images/patches.ts";
import { clip } from "../../src/models/clip-family.ts";
import { loadModelOf } from "../../src/models/load.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { clipLoss, siglipLoss } from "../../src/train/objectives/contrastive.ts";
import { backends } from "./backends.ts";
import { gradientOf } from "./gradient-of.ts";

const folder = join(import.meta.dirname, "fixtures", "clip");
let recorded: TensorSource;
beforeAll(async () => {
  recorded = await openSafetensors(join(folder, "recorded.safetensors"));
});
afterAll(() => recorded.close());

/** Largest difference, relative where the numbers are above 1. */
async function gap(actual: Tensor | null, name: string): Promise<number> {
  const expected = await recorded.read(name);
  const values = actual ? await actual.read() : new Float32Array(expected.length);
  expect(values.length).toBe(expected.length);
  return expected.reduce(
    (most, x, i) => Math.max(most, Math.abs((values[i] ?? Number.NaN) - x) / Math.max(1, Math.abs(x))),
    0,
  );
}

async function vectors(
  backend: Backend,
): Promise<{ model: Awaited<ReturnType<typeof open>>; pictures: Tensor; texts: Tensor }> {
  const model = await open(backend);
  const [batch = 0, size = 0] = recorded.info("pixels").shape;
  const pixels = await recorded.read("pixels");
  const patches = new Float32Array(pixels.length);
  const each = size * size * 3;
  for (let i = 0; i < batch; i++) writePatches(pixels.subarray(i * each, (i + 1) * each), size, 4, patches, i * each);
  const pictures = model.pictures(Tensor.from(backend, patches, [batch, 4, 48]));
  const ids = Tensor.from(backend, await recorded.readIntegers("input_ids"), recorded.info("input_ids").shape);
  return { model, pictures, texts: model.texts(ids, await recorded.readIntegers("lengths")) };
}

function open(
  backend: Backend,
): ReturnType<typeof loadModelOf<Parameters<typeof clip.create>[0], ReturnType<typeof clip.create>>> {
  return loadModelOf(clip, folder, backend);
}

describe.each(backends)("on %s", (_, backend) => {
  test("vectors, losses and every gradient are those of transformers", async () => {
    const { model, pictures, texts } = await vectors(backend);
    expect(await gap(pictures, "pictures")).toBeLessThan(1e-5);
    expect(await gap(texts, "texts")).toBeLessThan(1e-5);
    const bias = Tensor.from(backend, [-1.5], []);
    expect(
      await gap(siglipLoss(pictures.detach(), texts.detach(), model.logitScale.detach(), bias), "siglip"),
    ).toBeLessThan(1e-5);
    const loss = clipLoss(pictures, texts, model.logitScale);
    expect(await gap(loss, "loss")).toBeLessThan(1e-5);
    loss.backward();
    const gradients = new Map<string, number>();
    for (const binding of clip.tensors(model)) {
      gradients.set(binding.name, await gap(gradientOf(model)(binding), `gradient.${binding.name}`));
    }
    expect([...gradients].filter(([, difference]) => !(difference < 1e-4))).toEqual([]);
    expect(gradients.size).toBe(recorded.names().filter((name) => name.startsWith("gradient.")).length);
  });
});

test("a folder is written as it was read", async () => {
  const [, backend] = backends[0]!;
  const model = await open(backend);
  const config = clip.writeConfig(model.settings, { beginOfText: 27, endOfText: 28 });
  expect(clip.readConfig(config)).toEqual(model.settings);
  expect(config).toMatchObject({
    model_type: "clip",
    architectures: ["CLIPModel"],
    text_config: { hidden_act: "quick_gelu", eos_token_id: 28, bos_token_id: 27, hidden_size: 12 },
    vision_config: { image_size: 8, patch_size: 4, hidden_size: 16 },
  });
});

test("what a config leaves out is as in the first CLIP", () => {
  const { vision, text, projection } = clip.readConfig({ model_type: "clip", text_config: { eos_token_id: 2 } });
  expect(vision).toMatchObject({ width: 768, layers: 12, imageSize: 224, patchSize: 32, activation: "quickGelu" });
  expect(text).toMatchObject({ width: 512, heads: 8, vocabularySize: 49_408, context: 77, activation: "quickGelu" });
  expect(projection).toBe(512);
  expect(() => clip.readConfig({ model_type: "clip", vision_config: { num_channels: 1 } })).toThrow(
    "config.json: vision_config.num_channels is 1",
  );
});
