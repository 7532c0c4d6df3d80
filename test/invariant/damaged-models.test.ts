import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { memorySource } from "../../src/checkpoint/byte-source.ts";
import { openGguf } from "../../src/checkpoint/gguf.ts";
import { tokenizerFromMetadata } from "../../src/checkpoint/gguf-tokenizer.ts";
import { openModelFolder, writeModelFolder } from "../../src/checkpoint/model-folder.ts";
import { StemmaError } from "../../src/core/errors.ts";
import type { JsonObject } from "../../src/files/json.ts";
import type { ModelFamily } from "../../src/models/family.ts";
import { exportGguf } from "../../src/models/gguf/files.ts";
import { ggufAsFolder } from "../../src/models/gguf/folder.ts";
import { ggufLayouts } from "../../src/models/gguf/layout.ts";
import { families, otherFamilies } from "../../src/models/index.ts";
import type { StoredModel } from "../../src/models/language-model.ts";
import { loadModelOf } from "../../src/models/load.ts";
import { createEmpty, familyOf, loadTensors, storedTensors } from "../../src/models/read-model.ts";
import { Initializer } from "../../src/nn/parameters.ts";
import { writeSmallModel } from "../small-model.ts";

const backend = openReference();
const everyFamily = Object.entries<ModelFamily<unknown, StoredModel>>({ ...families, ...otherFamilies });
const shape = { vocabularySize: 11, context: 8, width: 8, layers: 1, heads: 2, dropout: 0 };

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "damaged-"));
});
afterAll(() => rm(root, { recursive: true }));

/** Fails for anything but success or an error that was meant for the user. */
async function exercise(load: () => Promise<unknown>): Promise<void> {
  try {
    await load();
  } catch (error) {
    if (!(error instanceof StemmaError)) throw error;
    expect(error.message.length).toBeLessThan(2000);
    expect(error.message).not.toContain("\n");
  }
}

const strangeValue = fc.oneof(
  fc.constantFrom(0, -1, 1, 2, 3, 7, 0.5, 1e-30, 65, 1e6, 2 ** 31, 2 ** 32, 2 ** 53, 1e300, null, true, "2", [], {}),
  fc.jsonValue({ maxDepth: 2 }),
);

describe.each(everyFamily)("%s", (name, family) => {
  test("opens, or says what is wrong, whatever its config.json holds", async () => {
    const model = family.create(family.shaped(shape), new Initializer(backend, null));
    const config = family.writeConfig(model.settings, { endOfText: 0 }) as JsonObject;
    const path = join(root, name);
    await writeModelFolder(path, { config, tensors: storedTensors(family, model) });
    const keys = fc.constantFrom(...Object.keys(config));
    const changes = fc.dictionary(keys, fc.oneof(strangeValue, fc.constant(undefined)), { minKeys: 1, maxKeys: 3 });
    await fc.assert(
      fc.asyncProperty(changes, async (change) => {
        await writeFile(join(path, "config.json"), JSON.stringify({ ...config, ...change }));
        await exercise(() => loadModelOf(family, path, backend));
      }),
      { numRuns: 60 },
    );
  });
});

test("a weights file with changed bytes opens, or says what is wrong", async () => {
  const path = join(root, "weights");
  await writeSmallModel(path, families.llama, { hidden_size: 8, head_dim: 2, intermediate_size: 16 });
  const file = join(path, "model.safetensors");
  const bytes = await readFile(file);
  const headerBytes = Number(bytes.readBigUInt64LE());
  const edit = fc.tuple(fc.nat(headerBytes + 8), fc.integer({ min: 0, max: 255 }));
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
      const changed = Buffer.from(bytes);
      for (const [at, value] of edits) changed[at] = value;
      await writeFile(file, changed);
      await exercise(async () => {
        const folder = await openModelFolder(path);
        const model = await createEmpty(families.llama, folder, backend);
        await loadTensors(families.llama, model, folder.tensors).finally(() => folder.close());
      });
    }),
    { numRuns: 150 },
  );
});

const exported = everyFamily.filter(([, family]) =>
  ggufLayouts.some(({ modelType }) => modelType === family.modelType),
) as [string, ModelFamily][];

test.each(exported)("a GGUF file of %s with changed bytes opens, or says what is wrong", async (name, family) => {
  const small = {
    ...{
      n_embd: 8,
      hidden_size: 8,
      head_dim: 2,
      intermediate_size: 16,
      num_local_experts: 2,
      query_pre_attn_scalar: 2,
    },
    ...{ partial_rotary_factor: 1, rotary_pct: 1 }, // a quarter of two dimensions is none
  };
  await writeSmallModel(join(root, `${name}-whole`), family, small);
  const path = join(root, `${name}.gguf`);
  await exportGguf(join(root, `${name}-whole`), path, "F32");
  const bytes = await readFile(path);
  const headerBytes = bytes.indexOf("output_norm.weight") + 100;
  const vocabulary = [bytes.indexOf("tokenizer.ggml.tokens") + 40, bytes.indexOf("tokenizer.ggml.eos")] as const;
  // Mostly outside the long lists of tokens and merges.
  const place = fc.nat(headerBytes).map((at) => (at > vocabulary[0] && at % 8 > 0 ? at % vocabulary[0] : at));
  const edit = fc.tuple(place, fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 255)));
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
      const changed = Buffer.from(bytes);
      for (const [at, value] of edits) changed[at] = value;
      await exercise(async () => {
        const file = await openGguf(memorySource(changed, "x.gguf"));
        const folder = await ggufAsFolder(file);
        const found = familyOf(folder.config, "x.gguf");
        await loadTensors(found, await createEmpty(found, folder, backend), folder.tensors);
        tokenizerFromMetadata("x.gguf", file.metadata);
      });
    }),
    { numRuns: 200 },
  );
});
