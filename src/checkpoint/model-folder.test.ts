import { mkdir, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { StemmaError } from "../core/errors.ts";
import { bitsOf } from "../core/float-formats.ts";
import { writeStream } from "../files/atomic-write.ts";
import type { ModelContents } from "./model-folder.ts";
import { openAdapterWeights, openModelFolder, writeModelFolder } from "./model-folder.ts";
import type { FloatDtype, WritableTensor } from "./tensor-source.ts";

let root = "";
let path = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "model-folder-"));
  path = join(root, "model");
});
afterEach(() => rm(root, { recursive: true }));

const config = { model_type: "gpt2", n_layer: 11, vocab_size: 5 };
const layers = Array.from({ length: 11 }, (_, i) => tensor(`h.${i}.w`, [4, 5], i + 1));
const tensors = [tensor("wte.weight", [5, 4], 0.1), ...layers, tensor("ln_f.bias", [4], 7)];
const contents: ModelContents = { config, tensors };

function tensor(name: string, shape: number[], seed: number): WritableTensor {
  const length = shape.reduce((a, b) => a * b, 1);
  return { name, shape, read: async () => Float32Array.from({ length }, (_, i) => Math.sin(seed * 100 + i)) };
}

/** All files of a folder, by name. */
async function filesOf(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort();
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), "base64")])),
  );
}

/** Opens a folder, writes what it holds to another, and returns both as files. */
async function copy(from: string, to: string, options: { dtype?: FloatDtype; maxShardBytes?: number }) {
  const model = await openModelFolder(from);
  const source = model.tensors;
  await writeModelFolder(to, {
    config: model.config,
    ...(model.generationConfig && { generationConfig: model.generationConfig }),
    tensors: source.names().map((name) => ({ name, shape: source.info(name).shape, read: () => source.read(name) })),
    ...options,
  });
  await model.close();
  return [await filesOf(from), await filesOf(to)];
}

describe("a model folder", () => {
  test("holds what was given", async () => {
    await writeModelFolder(path, {
      ...contents,
      generationConfig: { eos_token_id: 4 },
      extraFiles: { "README.md": "# A model" },
      writeExtra: (folder) => writeStream(join(folder, "tokenizer.json"), "{}"),
    });
    expect((await readdir(path)).sort()).toEqual([
      "README.md",
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "tokenizer.json",
    ]);
    expect(await readFile(join(path, "config.json"), "utf8")).toBe(
      '{\n  "model_type": "gpt2",\n  "n_layer": 11,\n  "torch_dtype": "float32",\n  "vocab_size": 5\n}\n',
    );
    const model = await openModelFolder(path);
    expect(model.config).toEqual({ ...config, torch_dtype: "float32" });
    expect(model.generationConfig).toEqual({ eos_token_id: 4 });
    for (const { name, shape, read } of tensors) {
      expect(model.tensors.info(name)).toMatchObject({ dtype: "F32", shape });
      expect(bitsOf(await model.tensors.read(name))).toEqual(bitsOf((await read()) as Float32Array));
    }
    await model.close();
  });

  test.each(["F32", "F16", "BF16"] as const)("save → load → save gives the same files as %s", async (dtype) => {
    for (const maxShardBytes of [1e9, 300]) {
      await writeModelFolder(path, { ...contents, dtype, maxShardBytes, generationConfig: { top_k: 5 } });
      const [first, second] = await copy(path, join(root, `copy-${maxShardBytes}`), { dtype, maxShardBytes });
      expect(second).toEqual(first);
    }
  });

  test("the same tensors in another order give the same files", async () => {
    await writeModelFolder(path, { ...contents, maxShardBytes: 300 });
    await writeModelFolder(join(root, "other"), { config, tensors: tensors.toReversed(), maxShardBytes: 300 });
    expect(await filesOf(join(root, "other"))).toEqual(await filesOf(path));
  });

  test("weights beyond the limit go to several files with an index, layers in order", async () => {
    // A layer is 80 bytes: three to a file, and ln_f.bias with the last of them.
    await writeModelFolder(path, { ...contents, maxShardBytes: 240 });
    const index = JSON.parse(await readFile(join(path, "model.safetensors.index.json"), "utf8"));
    expect(index.metadata).toEqual({ total_size: 12 * 80 + 16 });
    expect(index.weight_map["h.2.w"]).toBe("model-00001-of-00005.safetensors");
    expect(index.weight_map["h.10.w"]).toBe("model-00004-of-00005.safetensors");
    expect(index.weight_map["wte.weight"]).toBe("model-00005-of-00005.safetensors");
    const model = await openModelFolder(path);
    expect(model.tensors.names()).toHaveLength(13);
    expect((await model.tensors.read("h.7.w")).slice(0, 2)).toEqual(Float32Array.from([800, 801], Math.sin));
    await expect(model.tensors.read("h.11.w")).rejects.toThrow("there is no tensor h.11.w among 13");
    await model.close();
  });

  test("`dtype`, the newer name of `torch_dtype`, is set where a config uses it", async () => {
    await writeModelFolder(path, { config: { ...config, dtype: "float32" }, tensors, dtype: "BF16" });
    const model = await openModelFolder(path);
    expect(model.config).toEqual({ ...config, dtype: "bfloat16" });
    await model.close();
  });
});

describe("replacing", () => {
  test("an older model leaves nothing of it", async () => {
    await writeModelFolder(path, { ...contents, maxShardBytes: 300 });
    await writeModelFolder(path, contents);
    expect(await readdir(path)).toEqual(["config.json", "model.safetensors"]);
    expect(await readdir(root)).toEqual(["model"]);
  });

  test("a folder with anything else is refused and untouched", async () => {
    await mkdir(path);
    await writeFile(join(path, "thesis.txt"), "years of work");
    await expect(writeModelFolder(path, contents)).rejects.toThrow("holds thesis.txt, which is not part of a model");
    expect(await readdir(path)).toEqual(["thesis.txt"]);
  });

  test("a tensor that fails leaves the older model", async () => {
    await writeModelFolder(path, contents);
    const before = await filesOf(path);
    const bad = { ...tensor("h.3.w", [4, 5], 0), read: async () => new Float32Array(3) };
    await expect(writeModelFolder(path, { config, tensors: [bad] })).rejects.toThrow(
      "model.safetensors: h.3.w: 3 values do not fill [4, 5]",
    );
    expect(await filesOf(path)).toEqual(before);
  });

  test("two tensors of one name are refused, also in different files", async () => {
    const twice = [tensor("w", [4], 1), tensor("w", [4], 2)];
    await expect(writeModelFolder(path, { config, tensors: twice })).rejects.toThrow("w: two tensors have this name");
    await expect(writeModelFolder(path, { config, tensors: twice, maxShardBytes: 16 })).rejects.toThrow("same name");
  });
});

describe("opening says what is wrong:", () => {
  const index = (map: unknown) => ({ "model.safetensors.index.json": JSON.stringify({ weight_map: map }) });
  const cases: [string, Record<string, string>, string][] = [
    ["an empty folder", {}, "the folder is empty"],
    ["no config", { "model.safetensors": "" }, "has no config.json, so it is not a model folder"],
    ["a broken config", { "config.json": "{" }, "config.json: is not valid JSON"],
    ["a config that is a list", { "config.json": "[]" }, "config.json: holds an array, a JSON object is expected"],
    ["no weights", { "config.json": "{}" }, "has no weights (model.safetensors)"],
    ["PyTorch weights", { "config.json": "{}", "pytorch_model.bin": "" }, "convert it to safetensors"],
    ["an adapter", { "config.json": "{}", "adapter_model.safetensors": "" }, "not a whole model"],
    ["GGUF", { "m.gguf": "" }, "holds GGUF files and no config.json; give the file, such as "],
    ["a run", { "settings.json": "{}", final: "" }, "is a run, not a model; give one of its models, such as"],
    ["a run without end", { "checkpoint-90": "", "checkpoint-100": "" }, "checkpoint-100"],
    [
      "an absent file",
      { "config.json": "{}", ...index({ w: "x.safetensors" }) },
      "x.safetensors: cannot read: it does not exist",
    ],
    ["an index to elsewhere", { "config.json": "{}", ...index({ w: "../x.safetensors" }) }, "a file name is expected"],
    ["an index without a map", { "config.json": "{}", ...index(3) }, "weight_map is a number"],
    ["an empty index", { "config.json": "{}", ...index({}) }, "names no tensor"],
  ];
  test.each(cases)("%s", async (_, files, message) => {
    await mkdir(path);
    for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
    await expect(openModelFolder(path)).rejects.toThrow(message);
    await expect(openModelFolder(path)).rejects.toBeInstanceOf(StemmaError);
  });

  test("no folder, or a file", async () => {
    await expect(openModelFolder(path)).rejects.toThrow(`${path}: there is no such folder`);
    await expect(openModelFolder(join(root, "no", "where"))).rejects.toThrow("there is no such folder");
    await writeFile(path, "");
    await expect(openModelFolder(path)).rejects.toThrow("is a file");
    await expect(writeModelFolder(path, contents)).rejects.toThrow("is a file");
  });

  test("a truncated shard, and an index that promises too much", async () => {
    await writeModelFolder(path, { ...contents, maxShardBytes: 300 });
    const shard = join(path, "model-00002-of-00004.safetensors");
    const whole = await readFile(shard);
    await truncate(shard, whole.length - 4);
    await expect(openModelFolder(path)).rejects.toThrow(/model-00002-of-00004.safetensors: .* it is truncated/);
    await writeFile(shard, whole);
    const indexPath = join(path, "model.safetensors.index.json");
    await writeFile(indexPath, (await readFile(indexPath, "utf8")).replace('"h.4.w"', '"h.44.w"'));
    await expect(openModelFolder(path)).rejects.toThrow("h.44.w is not in model-0000");
  });

  test("a replacement that was interrupted is finished", async () => {
    await writeModelFolder(path, contents);
    // What a kill between the two renames leaves: the new folder complete, the old one pushed aside. No process has
    // this number: they end at 2²².
    await rename(path, join(root, ".model.complete-99999999.0-0123456789ab"));
    await mkdir(join(root, ".model.replaced-99999999.0-0123456789ab"));
    const model = await openModelFolder(path);
    expect(model.tensors.names()).toHaveLength(13);
    await model.close();
    expect(await readdir(root)).toEqual(["model"]);
  });
});

test.each([
  ["weights.pt", "is a pickle, which is never opened; convert it to safetensors"],
  ["model.gguf", "is a GGUF file; make a folder of it first (stemma import --model"],
])("the file %s is no folder", async (name, message) => {
  await writeFile(join(root, name), "");
  await expect(openModelFolder(join(root, name))).rejects.toThrow(message);
});

test("an adapter that PyTorch pickled is refused", async () => {
  await mkdir(join(root, "adapter"));
  await writeFile(join(root, "adapter/adapter_model.bin"), "");
  await expect(openAdapterWeights(join(root, "adapter"))).rejects.toThrow(
    "adapter: has adapter_model.bin but no adapter_model.safetensors; convert it to safetensors",
  );
});
