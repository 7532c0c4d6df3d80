import { expect, test } from "vitest";
import type { Backend } from "../backend/kernels.ts";
import { openReference } from "../backend/reference/index.ts";
import { memorySource } from "../checkpoint/byte-source.ts";
import { readSafetensors, safetensorsChunks } from "../checkpoint/safetensors.ts";
import type { Parameter } from "../nn/parameters.ts";
import { Initializer } from "../nn/parameters.ts";
import { defineFamily } from "./family.ts";
import type { StoredModel } from "./language-model.ts";
import { readModelOf, storedTensors } from "./read-model.ts";

/** A model of no words at all: one matrix over patches of pictures. */
class PatchProjection implements StoredModel {
  readonly settings: { readonly patch: number };
  readonly weight: Parameter;

  constructor(settings: { readonly patch: number }, init: Initializer) {
    this.settings = settings;
    this.weight = init.constant([2, settings.patch ** 2], 0.5);
  }

  get backend(): Backend {
    return this.weight.backend;
  }
}

const family = defineFamily<{ readonly patch: number }, PatchProjection>({
  summary: "a matrix over patches",
  modelType: "patches",
  shaped: () => ({ patch: 2 }),
  create: (settings, init) => new PatchProjection(settings, init),
  readConfig: (config) => ({ patch: Number(config.patch_size) }),
  writeConfig: ({ patch }) => ({ model_type: "patches", patch_size: patch }),
  tensors: (model) => [{ name: "projection.weight", parameter: model.weight, transposed: false }],
  ignoredTensors: /^$/,
  optionalPrefix: "",
});

test("a model without vocabulary and context is stored and read like any", async () => {
  const backend = openReference();
  const model = family.create({ patch: 2 }, new Initializer(backend, null));
  model.weight.write(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  const chunks: Uint8Array[] = [];
  for await (const chunk of safetensorsChunks("x", storedTensors(family, model))) chunks.push(chunk.slice());
  const tensors = await readSafetensors(memorySource(Buffer.concat(chunks)));
  const source = { path: "patches", config: { model_type: "patches", patch_size: 2 }, tensors };
  const read = await readModelOf(family, source, backend);
  expect(read.settings).toEqual({ patch: 2 });
  expect([...(await read.weight.read())]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});
