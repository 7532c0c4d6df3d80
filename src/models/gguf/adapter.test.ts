import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { writeSmallModel } from "../../../test/small-model.ts";
import { openGguf } from "../../checkpoint/gguf.ts";
import { openModelFolder } from "../../checkpoint/model-folder.ts";
import { writeSafetensors } from "../../checkpoint/safetensors-file.ts";
import { CheckpointError, UnsupportedError } from "../../core/errors.ts";
import { Random } from "../../core/random.ts";
import type { JsonObject } from "../../files/json.ts";
import { families } from "../index.ts";
import { exportGgufAdapter } from "./adapter.ts";
import { exportGguf } from "./files.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-gguf-adapter-"));
afterAll(() => rmSync(root, { recursive: true }));
const at = (name: string): string => join(root, name);

/** An adapter of rank 2 for every matrix of a folder whose name matches. */
async function writeAdapter(name: string, base: string, modules: RegExp, config: JsonObject = {}): Promise<string> {
  const folder = await openModelFolder(base);
  const names = folder.tensors.names().filter((tensor) => modules.test(tensor));
  const isTurned = String(folder.config.model_type) === "gpt2";
  const tensors = names.flatMap((tensor, i) => {
    const { shape } = folder.tensors.info(tensor);
    const [outputs = 0, inputs = 0] = isTurned ? shape.toReversed() : shape;
    const module = `base_model.model.${tensor.replace(/\.weight$/, "")}`;
    const noise = (length: number, seed: number) => () => new Random(seed + i).normal(length, 0.2);
    return [
      { name: `${module}.lora_A.weight`, shape: [2, inputs], read: noise(2 * inputs, 100) },
      { name: `${module}.lora_B.weight`, shape: [outputs, 2], read: noise(2 * outputs, 200) },
    ];
  });
  await folder.close();
  mkdirSync(at(name));
  const whole = { peft_type: "LORA", r: 2, lora_alpha: 6, ...config };
  writeFileSync(join(at(name), "adapter_config.json"), JSON.stringify(whole));
  await writeSafetensors(join(at(name), "adapter_model.safetensors"), tensors);
  return at(name);
}

/** Matrices of a GGUF file, and of its base and adapter together as llama.cpp adds them: W + α / r · B · A. */
async function withPairs(base: string, adapter: string): Promise<Map<string, Float32Array>> {
  const [model, pairs] = await Promise.all([openGguf(base), openGguf(adapter)]);
  const alpha = pairs.metadata.get("adapter.lora.alpha");
  const sums = new Map<string, Float32Array>();
  for (const name of pairs.names().filter((pair) => pair.endsWith(".lora_a"))) {
    const matrix = name.replace(/\.lora_a$/, "");
    const [a, b, w] = [await pairs.read(name), await pairs.read(`${matrix}.lora_b`), await model.read(matrix)];
    const [rank = 1, inputs = 1] = pairs.info(name).shape;
    const scale = Number(alpha?.type === "float32" ? alpha.value : Number.NaN) / rank;
    const change = (i: number): number => {
      const [row, column] = [Math.floor(i / inputs), i % inputs];
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += (b[row * rank + k] ?? 0) * (a[k * inputs + column] ?? 0);
      return sum;
    };
    sums.set(
      matrix,
      w.map((value, i) => value + scale * change(i)),
    );
  }
  await Promise.all([model.close(), pairs.close()]);
  return sums;
}

test.each([
  ["llama", /proj\.weight$/, { alpha_pattern: { k_proj: 4 }, use_rslora: true }, 14],
  ["gpt2", /(c_attn|c_proj|c_fc)\.weight$/, {}, 8],
  ["falcon", /(query_key_value|dense)\.weight$/, {}, 4],
] as const)("base and adapter of %s are the merged model", async (name, modules, config, count) => {
  const [base, file] = [at(name), at(`${name}.gguf`)];
  const [pairs, merged] = [at(`${name}-adapter.gguf`), at(`${name}-merged.gguf`)];
  await writeSmallModel(base, families[name]);
  const adapter = await writeAdapter(`${name}-peft`, base, modules, config);
  await exportGguf(base, file, "F32");
  expect(await exportGgufAdapter(base, `${adapter}=0.5`, pairs)).toBe(count);
  await exportGguf(base, merged, "F32", [`${adapter}=0.5`]);
  const whole = await openGguf(merged);
  const sums = await withPairs(file, pairs);
  expect(sums.size).toBe(count);
  for (const [matrix, values] of sums) {
    expectClose(values, [...(await whole.read(matrix))], { absolute: 1e-6, relative: 1e-5 });
  }
  expect(whole.metadata.get("general.architecture")).toEqual((await metadataOf(pairs)).get("general.architecture"));
  expect((await metadataOf(pairs)).get("general.type")).toEqual({ type: "string", value: "adapter" });
  await whole.close();
});

test("what llama.cpp cannot add is refused with what to do", async () => {
  await writeSmallModel(at("refused"), families.mixtral);
  const experts = await writeAdapter("experts", at("refused"), /experts\.0\.w1\.weight$/);
  const write = (adapter: string): Promise<number> => exportGgufAdapter(at("refused"), adapter, at("no.gguf"));
  await expect(write(experts)).rejects.toThrow(UnsupportedError);
  await expect(write(experts)).rejects.toThrow(/no adapters of .*experts.*stemma merge/);
  const embedding = await writeAdapter("embedding", at("refused"), /embed_tokens\.weight$/);
  await expect(write(embedding)).rejects.toThrow(/no adapters of .*embed_tokens.*stemma merge/);
  const whole = await writeAdapter("whole", at("refused"), /q_proj\.weight$/);
  await writeSafetensors(join(whole, "adapter_model.safetensors"), [
    { name: "base_model.model.model.norm.weight", shape: [64], read: () => new Float32Array(64) },
  ]);
  await expect(write(whole)).rejects.toThrow(/holds model\.norm\.weight whole.*stemma merge/);
  await writeSmallModel(at("other"), families.llama);
  const other = await writeAdapter("other-peft", at("other"), /gate_proj\.weight$/);
  await expect(write(other)).rejects.toThrow(CheckpointError);
});

async function metadataOf(path: string) {
  const file = await openGguf(path);
  await file.close();
  return file.metadata;
}
