import { mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openGguf } from "../../src/checkpoint/gguf.ts";
import type { GgufValue } from "../../src/checkpoint/gguf-values.ts";
import type { GgufDtype, GgufTensor } from "../../src/checkpoint/gguf-writer.ts";
import { writeGguf } from "../../src/checkpoint/gguf-writer.ts";
import { CheckpointError, UnsupportedError } from "../../src/core/errors.ts";
import { exportGguf, importGguf } from "../../src/models/gguf/files.ts";
import { families } from "../../src/models/index.ts";

import { writeSmallModel } from "../small-model.ts";

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "gguf-import-"));
  await writeSmallModel(join(root, "model"), families.gpt2);
  await exportGguf(join(root, "model"), join(root, "gpt2.gguf"), "F32");
});
afterAll(() => rm(root, { recursive: true }));

/** A copy of GPT-2's file with other metadata or tensors. */
async function changed(
  metadata: (all: Map<string, GgufValue>) => void,
  tensors: (all: GgufTensor[]) => GgufTensor[] = (all) => all,
): Promise<string> {
  const file = await openGguf(join(root, "gpt2.gguf"));
  const copies = file.names().map((name) => ({
    ...{ name, shape: file.info(name).shape, dtype: file.info(name).dtype as GgufDtype },
    read: () => file.read(name),
  }));
  const entries = new Map(file.metadata);
  metadata(entries);
  const path = join(root, "changed.gguf");
  await writeGguf(path, { metadata: entries, tensors: tensors(copies) });
  await file.close();
  return path;
}
const set = (key: string, value: GgufValue) => (all: Map<string, GgufValue>) => all.set(key, value);
const drop = (key: string) => (all: Map<string, GgufValue>) => all.delete(key);
const text = (value: string): GgufValue => ({ type: "string", value });
const count = (value: number): GgufValue => ({ type: "uint32", value });
const without = (name: string) => (all: GgufTensor[]) => all.filter((tensor) => tensor.name !== name);

const cases: [string, Parameters<typeof changed>, string][] = [
  [
    "another architecture",
    [set("general.architecture", text("mamba"))],
    'is a model of the architecture "mamba"; known are gpt2, llama, qwen2',
  ],
  ["no architecture", [drop("general.architecture")], "has no general.architecture"],
  ["a missing number", [drop("gpt2.block_count")], "gpt2.block_count is missing or no number"],
  ["a text for a number", [set("gpt2.block_count", text("2"))], "gpt2.block_count is missing or no number"],
  [
    "layers that are not there",
    [set("gpt2.block_count", count(3))],
    "the file has 2 layers under transformer.h, the model has 3",
  ],
  [
    "a billion layers",
    [set("gpt2.block_count", count(1e9))],
    "gpt2.block_count is 1000000000, but the file has 28 tensors",
  ],
  ["no heads", [set("gpt2.attention.head_count", count(0))], "n_head is 0"],
  ["heads that do not divide", [set("gpt2.attention.head_count", count(7))], "7 heads do not divide a width of 64"],
  ["one part of several", [set("split.count", count(3))], "is one of 3 parts of a model; join them first"],
  [
    "a missing matrix",
    [() => {}, without("blk.1.ffn_up.weight")],
    "transformer.h.1.mlp.c_fc.weight [64, 256] is missing",
  ],
  ["no embedding", [() => {}, without("token_embd.weight")], "there is no tensor token_embd.weight"],
  [
    "a matrix too many",
    [() => {}, (all) => [...all, { ...all[0]!, name: "blk.0.attn_q.weight" }]],
    "blk.0.attn_q.weight is not part of the model",
  ],
  [
    "merges of other tokens",
    [set("tokenizer.ggml.merges", { type: "array", elementType: "string", values: ["x y"] })],
    "merge 1",
  ],
  ["no tokens", [drop("tokenizer.ggml.tokens")], "tokenizer.ggml.tokens is missing"],
];
test.each(cases)("importing refuses %s", async (_, change, message) => {
  const path = await changed(...change);
  const failure = await importGguf(path, join(root, "refused")).catch((error: unknown) => error);
  expect((failure as Error).message).toContain(message);
  expect(failure instanceof CheckpointError || failure instanceof UnsupportedError).toBe(true);
  expect(await readdir(root)).not.toContain("refused");
});

test("importing passes over a copy of the embedding as output layer", async () => {
  const path = await changed(
    () => {},
    (all) => [...all, { ...all.find(({ name }) => name === "token_embd.weight")!, name: "output.weight" }],
  );
  expect(await importGguf(path, join(root, "copied"))).toBeNull();
});

test("importing takes the weights without a tokenizer that is not known here, and says so", async () => {
  const path = await changed(set("tokenizer.ggml.model", text("t5")));
  expect(await importGguf(path, join(root, "bare"))).toContain("its tokenizer is t5 (gpt-2); known are llama");
  expect(await readdir(join(root, "bare"))).toEqual(["chat_template.jinja", "config.json", "model.safetensors"]);
});

test("importing a truncated file fails and leaves nothing", async () => {
  const path = await changed(() => {});
  for (const size of [10, 1000, 50_000]) {
    await truncate(path, size);
    await expect(importGguf(path, join(root, "truncated"))).rejects.toThrow(CheckpointError);
    await changed(() => {});
  }
  expect(await readdir(root)).not.toContain("truncated");
});
