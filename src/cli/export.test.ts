import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { runCommand as run } from "../../test/run-command.ts";
import { shape, writeSmallModel } from "../../test/small-model.ts";
import { openGguf } from "../checkpoint/gguf.ts";
import { openModelFolder } from "../checkpoint/model-folder.ts";
import { writeSafetensors } from "../checkpoint/safetensors-file.ts";
import { SettingsError } from "../core/errors.ts";
import { families } from "../models/index.ts";
import { exportModel } from "./export.ts";
import { importModel } from "./import.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-export-"));
afterAll(() => rmSync(root, { recursive: true }));
const at = (name: string): string => join(root, name);
await writeSmallModel(at("model"), families.gpt2);

test("a model goes out as GGUF and comes back", async () => {
  const out = await run(exportModel, { model: at("model"), quantization: "q8_0", output: at("x.gguf") });
  const bytes = readFileSync(at("x.gguf")).length;
  expect(out.result).toEqual({ output: at("x.gguf"), format: "gguf", quantization: "q8_0", bytes });
  expect(out.shown).toContain("of q8_0; any program built on llama.cpp opens it");
  const file = await openGguf(at("x.gguf"));
  expect(file.info("blk.0.attn_qkv.weight").dtype).toBe("Q8_0");
  expect(file.metadata.get("general.name")).toEqual({ type: "string", value: "model" });
  await file.close();

  const back = await run(importModel, { model: at("x.gguf"), output: at("back"), quantization: "bf16" });
  expect(back.result).toEqual({ output: at("back"), quantization: "bf16", hasTokenizer: true });
  const folder = await openModelFolder(at("back"));
  expect(folder.config).toMatchObject({ model_type: "gpt2", n_embd: shape.width, torch_dtype: "bfloat16" });
  expect(folder.tensors.info("transformer.wte.weight").dtype).toBe("BF16");
  await folder.close();
});

test("what a format does to a model is said", async () => {
  const noted = async (model: string, quantization: string): Promise<string> =>
    (await run(exportModel, { model, quantization, output: at("noted.gguf"), overwrite: true })).shown;
  expect(await noted(at("model"), "q8_0")).toMatch(/^\S+noted\.gguf: \d+ kB of q8_0;/);
  // Of each layer only the second feed-forward matrix has rows of 4 · 64.
  expect(await noted(at("model"), "q4_k_m")).toMatch(
    /^q4_k_m: rows of 8 of 10 matrices \(token_embd\.weight: 64\) are no multiple of its blocks of 256; these are q8_0, f32, q5_0\n/,
  );
  await run(exportModel, { model: at("model"), quantization: "q4_0", output: at("blocks.gguf") });
  expect(await noted(at("blocks.gguf"), "f32")).not.toContain("anew");
  expect(await noted(at("blocks.gguf"), "q8_0")).toMatch(
    /^\S+blocks\.gguf: has blocks \(q8_0, q4_0\) that are rounded anew; f32 keeps them\n/,
  );
});

test("a folder is written with another dtype in smaller files", async () => {
  const given = {
    model: at("model"),
    format: "safetensors",
    quantization: "f16",
    output: at("f16"),
    maxShardMegabytes: 0.1,
  };
  expect((await run(exportModel, given)).shown).toContain("a model folder of f16");
  const folder = await openModelFolder(at("f16"));
  expect(folder.tensors.name).toContain("index.json");
  expect(folder.tensors.info("transformer.wte.weight").dtype).toBe("F16");
  await folder.close();
});

test("the folder of an adapter is written as its model with the adapter in it", async () => {
  await writeSmallModel(at("base"), families.llama);
  const name = "model.layers.0.self_attn.o_proj";
  const pair = [
    { name: `base_model.model.${name}.lora_A.weight`, shape: [1, 64], read: () => new Float32Array(64).fill(0.5) },
    { name: `base_model.model.${name}.lora_B.weight`, shape: [64, 1], read: () => new Float32Array(64).fill(0.25) },
  ];
  const config = { peft_type: "LORA", r: 1, lora_alpha: 2, base_model_name_or_path: at("base") };
  mkdirSync(at("lora"));
  writeFileSync(at("lora/adapter_config.json"), JSON.stringify(config));
  await writeSafetensors(at("lora/adapter_model.safetensors"), pair);
  await run(exportModel, { model: at("lora"), format: "safetensors", output: at("whole") });
  const [before, after] = await Promise.all([openModelFolder(at("base")), openModelFolder(at("whole"))]);
  const old = await before.tensors.read(`${name}.weight`);
  const now = await after.tensors.read(`${name}.weight`);
  await Promise.all([before.close(), after.close()]);
  for (const [i, value] of now.entries()) expect(value).toBeCloseTo((old[i] ?? 0) + 2 * 0.5 * 0.25, 6);
});

test("nothing is replaced unasked, and a model never by its own copy", async () => {
  const [file, folder, own] = [at("kept.gguf"), at("kept"), at("own")];
  await writeSmallModel(own, families.gpt2);
  await run(exportModel, { model: own, output: file });
  await expect(run(exportModel, { model: own, output: file })).rejects.toThrow(
    `export: ${file} already exists; choose another --output or add --overwrite`,
  );
  await run(exportModel, { model: own, output: file, overwrite: true });

  mkdirSync(folder); // an empty folder holds nothing to lose
  await run(importModel, { model: file, output: folder });
  await expect(run(importModel, { model: file, output: folder })).rejects.toThrow(`import: ${folder} already exists`);
  await run(importModel, { model: file, output: folder, overwrite: true });
  await expect(run(importModel, { model: folder, output: `${folder}-again` })).rejects.toThrow(
    `model: ${folder} is a folder, and folders of Hugging Face need no import`,
  );

  const rounded = { model: own, format: "safetensors", quantization: "bf16", overwrite: true };
  await expect(run(exportModel, { ...rounded, output: folder, overwrite: false })).rejects.toThrow("already exists");
  await expect(run(exportModel, { ...rounded, output: folder })).resolves.toBeDefined();
  symlinkSync(own, at("link"));
  for (const output of [own, `${own}/`, at("link")]) {
    await expect(run(exportModel, { ...rounded, output })).rejects.toThrow("is what is read, and would be lost");
  }
  const weights = join(own, "model.safetensors");
  await expect(run(exportModel, { model: own, output: weights, overwrite: true })).rejects.toThrow("would be lost");
  await expect(run(exportModel, { model: own, output: own })).rejects.toThrow(
    /is a folder; give --output the name of a file/,
  );
  await expect(run(exportModel, { model: own, output: at("folder-meant") })).rejects.toThrow(
    /folder-meant does not end in \.gguf; name the file so, or add --format safetensors for a model folder/,
  );
  await run(exportModel, { model: own, output: join(own, "model.gguf") });
  await run(exportModel, { model: own, output: join(own, "model.gguf"), overwrite: true });
});

test("a Modelfile is written beside the file, and kept unless it is to be replaced", async () => {
  const output = at("ollama/model.gguf");
  mkdirSync(at("ollama"));
  const given = { model: at("model"), output, modelfile: true };
  const { shown } = await run(exportModel, given);
  expect(shown).toContain(`ollama create NAME -f ${at("ollama/Modelfile")}`);
  const lines = readFileSync(at("ollama/Modelfile"), "utf8").split("\n");
  expect([lines[0], lines.at(-2)]).toEqual(["FROM ./model.gguf", 'PARAMETER stop "<|endoftext|>"']);
  rmSync(output);
  await expect(run(exportModel, given)).rejects.toThrow(`${at("ollama/Modelfile")} already exists`);
  await expect(run(exportModel, { ...given, modelfile: false, system: "Be kind." })).rejects.toThrow("add --modelfile");
});

test("an adapter is written alone, and one only", async () => {
  const given = { model: at("model"), format: "gguf-adapter", output: at("adapter.gguf") };
  await expect(run(exportModel, given)).rejects.toThrow("gguf-adapter writes one, 0 are given");
  await expect(run(exportModel, { ...given, adapter: ["a", "b"] })).rejects.toThrow("2 are given");
  await expect(run(exportModel, { ...given, adapter: ["a"], quantization: "q4_0" })).rejects.toThrow("takes f32, f16");
  await expect(run(exportModel, { ...given, adapter: ["a"], prove: true })).rejects.toThrow(
    "prove: is for --format gguf",
  );
  await expect(run(exportModel, { ...given, adapter: [at("model")] })).rejects.toThrow("has no adapter_config.json");
});

test("blocks are not for safetensors", async () => {
  const given = { model: at("model"), format: "safetensors", quantization: "q8_0", output: at("no") };
  await expect(run(exportModel, given)).rejects.toThrow(SettingsError);
  await expect(run(exportModel, given)).rejects.toThrow("--quantization q8_0 is for --format gguf");
});
