import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { convertFolder } from "./convert-folder.ts";
import { openModelFolder, writeModelFolder } from "./model-folder.ts";
import type { WritableTensor } from "./tensor-source.ts";

let root = "";
let from = "";
let to = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "convert-"));
  [from, to] = [join(root, "from"), join(root, "to")];
});
afterEach(() => rm(root, { recursive: true }));

const weight = Float32Array.from({ length: 20 }, (_, i) => i / 8 - 1);
const layer = (name: string): WritableTensor => ({ name, shape: [4, 5], read: () => weight });
const integers = (name: string, dtype: "I64" | "I32" | "U8" | "BOOL", values: number[]): WritableTensor => ({
  ...{ name, shape: [values.length], dtype },
  read: () => Int32Array.from(values),
});
const tensors = [
  ...["h.0.w", "h.1.w", "h.2.w"].map(layer),
  integers("position_ids", "I64", [0, 1, 2]),
  integers("ids", "I32", [-7, 2 ** 31 - 1]),
  integers("h.0.bias", "U8", [0, 255]),
  integers("h.1.bias", "BOOL", [1, 0, 1]),
];
const config = { model_type: "anything", depth: 3 };

test("a folder of an unknown model changes its dtype and its files, and keeps the rest", async () => {
  await writeModelFolder(from, {
    ...{ config, tensors, generationConfig: { eos_token_id: 1 } },
    extraFiles: { "tokenizer.json": "{}", "chat_template.jinja": "{{ x }}", "README.md": "# hello" },
  });
  await writeFile(join(from, "trainer_state.json"), "{}");
  await writeFile(join(from, "optimizer.safetensors"), "moments");
  await convertFolder(from, to, { dtype: "BF16", maxShardBytes: 90 });
  expect((await readdir(to)).sort()).toEqual([
    "README.md",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
  ]);
  expect(JSON.parse(await readFile(join(to, "config.json"), "utf8"))).toEqual({ ...config, torch_dtype: "bfloat16" });
  const model = await openModelFolder(to);
  for (const { name, shape, dtype, read } of tensors) {
    expect(model.tensors.info(name)).toMatchObject({ dtype: dtype ?? "BF16", shape });
    const values = await (dtype ? model.tensors.readIntegers(name) : model.tensors.read(name));
    expect(values).toEqual(await read()); // eighths survive
  }
  await model.close();
});

test("floats stay floats: those that libraries declare, and those that a file had", async () => {
  const known = { dropout_rate: 0, initializer_range: 0.02, rope_scaling: { factor: 8, rope_type: "linear" } };
  await writeModelFolder(from, { config: { ...config, ...known, slope: 2 }, tensors: [] });
  const file = join(from, "config.json");
  const written = await readFile(file, "utf8");
  expect(written).toMatch(/"depth": 3,\n {2}"dropout_rate": 0\.0,\n {2}"initializer_range": 0\.02,/);
  expect(written).toMatch(/"factor": 8\.0,\n.*\n {2}},\n {2}"slope": 2,/);
  await writeFile(file, written.replace('"slope": 2', '"slope": -2.0'));
  await convertFolder(from, to, { dtype: "F32" });
  expect(await readFile(join(to, "config.json"), "utf8")).toBe(written.replace('"slope": 2', '"slope": -2.0'));
});

test("there and back gives the same files, also in place", async () => {
  await writeModelFolder(from, { config, tensors });
  const original = await readFile(join(from, "model.safetensors"));
  await convertFolder(from, to, { dtype: "F16" });
  await convertFolder(to, to, { dtype: "F32", maxShardBytes: 1e9 });
  expect((await readFile(join(to, "model.safetensors"))).equals(original)).toBe(true);
});

test("what cannot be converted leaves nothing behind", async () => {
  await writeModelFolder(from, { config, tensors: [{ ...layer("w"), read: () => weight.map((x) => x * 1e6) }] });
  await expect(convertFolder(from, to, { dtype: "F16" })).rejects.toThrow("w: -1000000 is too large for float16");
  await expect(convertFolder(join(root, "none"), to, { dtype: "F16" })).rejects.toThrow("there is no such folder");
  const header = Buffer.from('{"w":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  await writeFile(join(from, "model.safetensors"), Buffer.concat([length, header, Buffer.alloc(1)]));
  await expect(convertFolder(from, to, { dtype: "F16" })).rejects.toThrow(
    "w: is stored as F8_E4M3, which cannot be converted",
  );
  expect(await readdir(root)).toEqual(["from"]);
});

test("numbers that are no bytes are not written as bytes", async () => {
  const wrong = integers("b", "U8", [1, 256]);
  await expect(writeModelFolder(from, { config, tensors: [wrong] })).rejects.toThrow("b: 256 does not fit a byte");
});
