import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { openGguf } from "../../src/checkpoint/gguf.ts";
import type { GgufValue } from "../../src/checkpoint/gguf-values.ts";
import { openModelFolder } from "../../src/checkpoint/model-folder.ts";
import type { ModelFamily } from "../../src/models/family.ts";
import { exportGguf, importGguf } from "../../src/models/gguf/files.ts";
import { ggufLayouts } from "../../src/models/gguf/layout.ts";
import type { GgufMixture } from "../../src/models/gguf/mixtures.ts";
import { divisorsOf, rotaryDivisors, scalingConfig } from "../../src/models/gguf/rotary.ts";
import { families } from "../../src/models/index.ts";
import { loadModel } from "../../src/models/load.ts";
import { readRotary } from "../../src/models/rotary-config.ts";
import { parameters } from "../../src/nn/parameters.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { loadTokenizer } from "../../src/text/load-tokenizer.ts";

import { endOfText, shape, template, tokenizer, writeSmallModel } from "../small-model.ts";

const backend = openReference();

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "gguf-files-"));
});
afterAll(() => rm(root, { recursive: true }));

async function makeFolder(name: string, family: ModelFamily, change: Record<string, unknown> = {}): Promise<string> {
  const path = join(root, name);
  await writeSmallModel(path, family, change);
  return path;
}

/** The families that llama.cpp runs. */
const exported: [string, ModelFamily][] = Object.entries<ModelFamily>(families).filter(([, family]) =>
  ggufLayouts.some(({ modelType }) => modelType === family.modelType),
);

test("GPT-2 and Llama are among the models that leave", () => {
  expect(exported.map(([name]) => name)).toEqual(expect.arrayContaining(["gpt2", "llama"]));
});

describe.each(exported)("%s", (name, family) => {
  let folder = "";
  beforeAll(async () => {
    folder = await makeFolder(name, family);
  });

  test("comes back with the same weights, config, tokenizer and template", async () => {
    const file = join(root, `${name}.gguf`);
    await exportGguf(folder, file, "F32");
    const back = join(root, `${name}-back`);
    expect(await importGguf(file, back)).toBeNull();
    expect(
      (await readFile(join(back, "model.safetensors"))).equals(await readFile(join(folder, "model.safetensors"))),
    ).toBe(true);
    const [before, after] = await Promise.all([folder, back].map((path) => loadModel(path, backend)));
    // Files do not say what only matters in training.
    const lasting = ({ settings }: { settings: object }): object =>
      Object.fromEntries(Object.entries(settings).filter(([key]) => !/[dD]ropout$|^expertRule$|^config$/.test(key)));
    expect(lasting(after!.model)).toEqual(lasting(before!.model));
    const again = await loadTokenizer(back);
    const text = `In the beginning<|im_start|> naïve 🙂 ${endOfText}`;
    expect(again.encode(text)).toEqual(tokenizer.encode(text));
    expect(again.roles).toEqual(tokenizer.roles);
    expect([...again.specialTokens]).toEqual([...tokenizer.specialTokens]);
    expect(await readFile(join(back, "chat_template.jinja"), "utf8")).toBe(template);
    const second = join(root, `${name}-again.gguf`);
    await exportGguf(back, second, "F32");
    const [one, two] = await Promise.all([openGguf(file), openGguf(second)]);
    const withoutName = (metadata: ReadonlyMap<string, GgufValue>) =>
      [...metadata].filter(([key]) => key !== "general.name");
    expect(withoutName(two.metadata)).toEqual(withoutName(one.metadata));
    await Promise.all([one.close(), two.close()]);
  });

  test("a file leaves as a file, without a folder between", async () => {
    const [file, copy] = [join(root, `${name}.gguf`), join(root, `${name}-copy.gguf`)];
    await exportGguf(folder, file, "F32");
    await exportGguf(file, copy, "F32");
    expect((await readFile(copy)).equals(await readFile(file))).toBe(true);
  });
});

/** One of each kind: matrices turned, rows in another order, experts stacked. */
const kinds = exported.filter(([name]) => ["gpt2", "llama", "mixtral"].includes(name));

const types: [GgufMixture, number][] = [
  ["F32", 0],
  ["F16", 1],
  ["BF16", 32],
  ["Q8_0", 7],
  ["Q4_0", 2],
  ["Q5_0", 8],
];

describe.each(kinds)("%s", (name, family) => {
  let folder = "";
  beforeAll(async () => {
    folder = await makeFolder(`${name}-typed`, family);
  });

  test.each(types)("as %s has the keys and types that llama.cpp wants", async (dtype, fileType) => {
    const path = join(root, `${name}-${dtype}.gguf`);
    await exportGguf(folder, path, dtype);
    const file = await openGguf(path);
    const architecture = family.modelType === "gpt2" ? "gpt2" : "llama";
    const number = (key: string): unknown => {
      const value = file.metadata.get(key);
      return value?.type === "array" ? value.values.length : value?.value;
    };
    expect(number("general.architecture")).toBe(architecture);
    expect(number("general.file_type")).toBe(fileType);
    expect(number("general.quantization_version")).toBe(dtype.startsWith("Q") ? 2 : undefined);
    expect(number(`${architecture}.context_length`)).toBe(16);
    expect(number(`${architecture}.embedding_length`)).toBe(64);
    expect(number(`${architecture}.block_count`)).toBe(2);
    expect(number(`${architecture}.attention.head_count`)).toBe(4);
    expect(number(`${architecture}.feed_forward_length`)).toBeGreaterThan(0);
    expect(number("tokenizer.ggml.model")).toBe("gpt2");
    expect(number("tokenizer.ggml.pre")).toBe("gpt-2");
    expect(number("tokenizer.ggml.tokens")).toBe(shape.vocabularySize);
    expect(number("tokenizer.ggml.token_type")).toBe(shape.vocabularySize);
    expect(number("tokenizer.ggml.merges")).toBe(tokenizer.merges.length);
    expect(number("tokenizer.ggml.eos_token_id")).toBe(tokenizer.endOfText);
    expect(number("tokenizer.ggml.add_bos_token")).toBe(false);
    expect(number("tokenizer.chat_template")).toBe(template);
    const dtypeOf = (tensor: string): string => file.info(tensor).dtype;
    expect(dtypeOf("output_norm.weight")).toBe("F32");
    expect(dtypeOf("blk.1.attn_output.weight")).toBe(dtype);
    // As an output layer it would be Q6_K, for which its rows are too short.
    const output = file.has("output.weight") ? "output.weight" : "token_embd.weight";
    expect(dtypeOf(output)).toBe(dtype === "Q4_0" || dtype === "Q5_0" ? "Q8_0" : dtype);
    expect(file.info("token_embd.weight").shape).toEqual([shape.vocabularySize, 64]);
    await file.close();
  });

  test.each([
    ["F16", 1e-3],
    ["BF16", 8e-3],
    ["Q8_0", 8e-3],
    ["Q4_0", 0.14],
    ["Q5_0", 0.07],
  ] as const)("as %s is nearly the same model", async (dtype, share) => {
    const path = join(root, `${name}-${dtype}-near.gguf`);
    await exportGguf(folder, path, dtype);
    const back = join(root, `${name}-${dtype}-back`);
    await importGguf(path, back);
    const [before, after] = await Promise.all(
      [folder, back].map(async (from) => (await loadModel(from, backend)).model),
    );
    const originals = parameters(before!);
    for (const [field, parameter] of parameters(after!)) {
      const values = await parameter.floats();
      const expected = await originals.get(field)!.floats();
      const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const worst = values.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i]!)), 0);
      expect(worst, field).toBeLessThanOrEqual(share * largest);
    }
  });
});

test("what the layouts call a tensor is what llama.cpp calls it", async () => {
  for (const [name, family] of exported) {
    if (name !== "gpt2" && name !== "llama") continue;
    const path = join(root, `names-${name}.gguf`);
    await exportGguf(
      await makeFolder(`names-${name}`, family, {
        n_layer: 1,
        num_hidden_layers: 1,
        tie_word_embeddings: name === "gpt2",
      }),
      path,
      "F32",
    );
    const file = await openGguf(path);
    const found = Object.fromEntries(file.names().map((tensor) => [tensor, file.info(tensor).shape.join("×")]));
    const hidden = name === "gpt2" ? 256 : 176;
    const both = {
      "token_embd.weight": `${shape.vocabularySize}×64`,
      "blk.0.attn_norm.weight": "64",
      "blk.0.attn_output.weight": "64×64",
      "blk.0.ffn_norm.weight": "64",
      "blk.0.ffn_up.weight": `${hidden}×64`,
      "blk.0.ffn_down.weight": `64×${hidden}`,
      "output_norm.weight": "64",
    };
    const own =
      name === "gpt2"
        ? {
            "position_embd.weight": "16×64",
            "blk.0.attn_norm.bias": "64",
            "blk.0.attn_qkv.weight": "192×64",
            "blk.0.attn_qkv.bias": "192",
            "blk.0.attn_output.bias": "64",
            "blk.0.ffn_norm.bias": "64",
            "blk.0.ffn_up.bias": "256",
            "blk.0.ffn_down.bias": "64",
            "output_norm.bias": "64",
          }
        : {
            "blk.0.attn_q.weight": "64×64",
            "blk.0.attn_k.weight": "32×64",
            "blk.0.attn_v.weight": "32×64",
            "blk.0.ffn_gate.weight": "176×64",
            "output.weight": `${shape.vocabularySize}×64`,
          };
    expect(found).toEqual({ ...both, ...own });
    await file.close();
  }
});

test("a head's rows keep each rotary pair together in the file, and GPT-2's matrices are turned", async () => {
  const path = join(root, "arranged.gguf");
  const llama = join(root, "llama");
  await exportGguf(llama, path, "F32");
  const [file, folder] = [await openGguf(path), await openModelFolder(llama)];
  const k = await folder.tensors.read("model.layers.0.self_attn.k_proj.weight");
  const inFile = await file.read("blk.0.attn_k.weight");
  const row = (values: Float32Array, i: number): number[] => [...values.subarray(i * 64, (i + 1) * 64)];
  // Two heads of 16 rows: pairs are (0, 8), (1, 9) … in the folder.
  const order = [0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15];
  for (const head of [0, 16]) {
    for (const [to, from] of order.entries()) expect(row(inFile, head + to)).toEqual(row(k, head + from));
  }
  await Promise.all([file.close(), folder.close()]);

  const gpt2 = join(root, "gpt2");
  await exportGguf(gpt2, path, "F32");
  const [turned, straight] = [await openGguf(path), await openModelFolder(gpt2)];
  const up = await turned.read("blk.0.ffn_up.weight");
  const fc = await straight.tensors.read("transformer.h.0.mlp.c_fc.weight");
  expect(up[3 * 64 + 5]).toBe(fc[5 * 256 + 3]);
  await Promise.all([turned.close(), straight.close()]);
});

test.each(["gpt2", "llama"] as const)("a %s with an output layer of its own comes back", async (name) => {
  const folder = await makeFolder(`own-head-${name}`, families[name], { tie_word_embeddings: false });
  const [path, back] = [join(root, `own-head-${name}.gguf`), join(root, `own-head-${name}-back`)];
  await exportGguf(folder, path, "F32");
  await importGguf(path, back);
  const [before, after] = await Promise.all([folder, back].map(async (from) => (await loadModel(from, backend)).model));
  expect(await after?.outputWeight.read()).toEqual(await before?.outputWeight.read());
  expect(await after?.outputWeight.read()).not.toEqual(await after?.tokenEmbedding.read());
});

test("rows that are no multiple of 32 are F16 in a file of blocks", async () => {
  const settings = { hidden_size: 48, head_dim: 12 };
  const path = join(root, "odd.gguf");
  await exportGguf(await makeFolder("odd", families.llama, settings), path, "Q8_0");
  const file = await openGguf(path);
  expect(file.info("blk.0.attn_q.weight").dtype).toBe("F16");
  expect(file.info("blk.0.ffn_down.weight")).toMatchObject({ dtype: "F16", shape: [48, 176] });
  await file.close();
});

const scalings = [
  { rope_type: "linear", factor: 4 },
  { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 },
  { rope_type: "llama3", factor: 2.5, low_freq_factor: 1.5, high_freq_factor: 3, original_max_position_embeddings: 64 },
];
test.each([
  { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 },
  { factor: 32, low_freq_factor: 1, high_freq_factor: 6, original_max_position_embeddings: 2048 },
  { factor: 4, low_freq_factor: 2, high_freq_factor: 9, original_max_position_embeddings: 1000 },
])("Llama 3's scaling is recognised by its divisors alone: %j", async (numbers) => {
  const place = { headDim: 64, context: 1e5, base: 1e4 };
  const divisors = (keys: object): Float32Array =>
    divisorsOf(readRotary({ rope_scaling: { rope_type: "llama3", ...keys } }, place))[0]![1];
  const values = divisors(numbers);
  const file = { name: "x.gguf", has: (name: string) => name === rotaryDivisors, read: async () => values };
  const found = await scalingConfig({ turned: 64, base: 1e4 }, () => undefined, file);
  const { low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original } = numbers;
  // What divides both limits and the context says the same.
  expect(found).toMatchObject({
    rope_scaling: { factor: numbers.factor, low_freq_factor: 1, original_max_position_embeddings: original / low },
  });
  const loose = divisors(found.rope_scaling as object);
  expect(Math.max(...values.map((value, i) => Math.abs((loose[i] ?? 0) / value - 1)))).toBeLessThan(1e-5);
  expect((found.rope_scaling as typeof numbers).high_freq_factor).toBeCloseTo(high / low, 2);
});

test.each(scalings)("rotary positions scaled by %j come back", async (scaling) => {
  const folder = await makeFolder(`scaled-${scaling.factor}`, families.llama, {
    rope_theta: 5e5,
    rope_scaling: scaling,
  });
  const path = join(root, `scaled-${scaling.factor}.gguf`);
  await exportGguf(folder, path, "F32");
  const back = join(root, `scaled-${scaling.factor}-back`);
  await importGguf(path, back);
  const config = JSON.parse(await readFile(join(back, "config.json"), "utf8"));
  expect(config.rope_scaling).toEqual(scaling);
  const ids = Tensor.from(backend, Int32Array.of(1, 2, 3, 4), [1, 4]);
  const [before, after] = await Promise.all(
    [folder, back].map(async (from) => (await loadModel(from, backend)).model.forward(ids).read()),
  );
  expect(after).toEqual(before);
});

test("marks for training leave the template, which other programs' Jinja could not read", async () => {
  const folder = await makeFolder("marked", families.gpt2);
  const marked = "{%- generation %}{{ messages[0].content }}{% endgeneration -%}";
  await writeFile(join(folder, "chat_template.jinja"), marked);
  await exportGguf(folder, join(root, "marked.gguf"), "F32");
  const file = await openGguf(join(root, "marked.gguf"));
  expect(file.metadata.get("tokenizer.chat_template")).toEqual({
    type: "string",
    value: "{%- if true %}{{ messages[0].content }}{% endif -%}",
  });
  await file.close();
});
