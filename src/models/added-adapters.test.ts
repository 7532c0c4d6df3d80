import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { openReference } from "../backend/reference/index.ts";
import { openModelFolder, writeModelFolder } from "../checkpoint/model-folder.ts";
import { writeSafetensors } from "../checkpoint/safetensors-file.ts";
import type { TensorSource } from "../checkpoint/tensor-source.ts";
import { CheckpointError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { JsonObject } from "../files/json.ts";
import { Initializer } from "../nn/parameters.ts";
import { Tensor } from "../tensor/tensor.ts";
import { families } from "./index.ts";
import { loadModel } from "./load.ts";
import { mergeAdapters } from "./merge-adapters.ts";
import { storedTensors } from "./read-model.ts";
import type { WeightChoice } from "./weight-choice.ts";

const backend = openReference();
const root = mkdtempSync(join(tmpdir(), "added-adapters-"));
const at = (name: string): string => join(root, name);
const shape = { vocabularySize: 20, context: 8, width: 8, layers: 1, heads: 2, dropout: 0 };
const module = "model.layers.0.self_attn.q_proj";
const [down, up] = ["A", "B"].map((part) => `base_model.model.${module}.lora_${part}.weight`) as [string, string];
const numbers = (length: number, seed: number): Float32Array => new Random(seed).normal(length, 0.3);
const [a, b] = [numbers(2 * 8, 2), numbers(8 * 2, 3)];

type Entry = readonly [shape: readonly number[], values: Float32Array];

async function writeAdapter(name: string, config: JsonObject = {}, tensors?: Record<string, Entry>): Promise<string> {
  const all = tensors ?? { [down]: [[2, 8], a], [up]: [[8, 2], b] };
  rmSync(at(name), { recursive: true, force: true });
  mkdirSync(at(name));
  const whole = { peft_type: "LORA", r: 2, lora_alpha: 6, base_model_name_or_path: "some/base", ...config };
  writeFileSync(join(at(name), "adapter_config.json"), JSON.stringify(whole));
  const list = Object.entries(all).map(([tensor, [own, values]]) => ({ name: tensor, shape: own, read: () => values }));
  await writeSafetensors(join(at(name), "adapter_model.safetensors"), list);
  return at(name);
}

/** The base's matrix plus `scale` times B · A, by hand. */
async function expected(scale: number): Promise<number[]> {
  const { tensors, close } = await openModelFolder(at("base"));
  const base = await tensors.read(`${module}.weight`);
  await close();
  return [...base].map((value, i) => {
    const [row, column] = [Math.floor(i / 8), i % 8];
    const product = [0, 1].reduce((sum, k) => sum + (b[row * 2 + k] ?? 0) * (a[k * 8 + column] ?? 0), 0);
    return value + scale * product;
  });
}

async function matrixOf(adapters: readonly string[]): Promise<number[]> {
  const { model, family } = await loadModel(at("base"), backend, "float32", adapters);
  const stored = storedTensors(family, model).find(({ name }) => name === `${module}.weight`);
  return [...((await stored?.read()) ?? [])];
}

const close = { absolute: 1e-6, relative: 1e-6 };

beforeAll(async () => {
  const settings = { ...families.llama.shaped(shape), tiedEmbeddings: true };
  const model = families.llama.create(settings, new Initializer(backend, new Random(1)));
  const config = families.llama.writeConfig(model.settings, { endOfText: null }) as JsonObject;
  await writeModelFolder(at("base"), { config, tensors: storedTensors(families.llama, model) });
  await writeModelFolder(at("rounded"), { config, tensors: storedTensors(families.llama, model), dtype: "BF16" });
});
afterAll(() => rmSync(root, { recursive: true }));

test("α / r of B · A is added, α / √r where it is stabilised, and α of the module where it has its own", async () => {
  expectClose(await matrixOf([await writeAdapter("plain")]), await expected(3), close);
  expectClose(await matrixOf([await writeAdapter("rs", { use_rslora: true })]), await expected(6 / Math.SQRT2), close);
  const patterned = await writeAdapter("pattern", { alpha_pattern: { "layers.0.self_attn.q_proj": 4, k_proj: 1 } });
  expectClose(await matrixOf([patterned]), await expected(2), close);
});

test("several are added one after the other, each by its weight", async () => {
  const path = await writeAdapter("plain");
  expectClose(await matrixOf([`${path}=0.5`, `${path}=-0.25`, path]), await expected(3 * 1.25), close);
  await expect(matrixOf([`${path}=much`])).rejects.toThrow('its weight is "much"; give a number, such as');
});

test("an adapter's folder without a config is merged into the base that it names", async () => {
  const path = await writeAdapter("bare", { base_model_name_or_path: at("base") });
  await mergeAdapters(path, [], at("of-bare"), backend, { dtype: null });
  const { tensors, close: closeFolder } = await openModelFolder(at("of-bare"));
  expectClose([...(await tensors.read(`${module}.weight`))], await expected(3), close);
  await closeFolder();
});

test("what is kept whole takes the place of the model's own", async () => {
  const whole = numbers(8 * 8, 5);
  const path = await writeAdapter("whole", {}, { [`base_model.model.${module}.weight`]: [[8, 8], whole] });
  expect(await matrixOf([path])).toEqual([...whole]);
  await expect(matrixOf([`${path}=0.5`])).rejects.toThrow("of which no share can be added; leave out =0.5");
});

test.each<readonly [string, JsonObject, Record<string, Entry> | undefined, RegExp]>([
  [
    "a layer too many",
    {},
    { [down.replace(".0.", ".7.")]: [[2, 8], a], [up.replace(".0.", ".7.")]: [[8, 2], b] },
    /is an adapter of another model: .*layers\.7.* which the model does not have .*; it was made for some\/base/,
  ],
  [
    "another width",
    {},
    { [down]: [[2, 4], a.slice(0, 8)], [up]: [[8, 2], b] },
    /lora_A.weight is \[2, 4\], \[2, 8\] fits the model/,
  ],
  [
    "tokens that training added",
    {},
    { [`base_model.model.${module}.weight`]: [[10, 8], numbers(80, 5)] },
    /its training added tokens: .*weight has 10, the model's 8; take the model of its run \(final\/\), which has them/,
  ],
  ["half a pair", {}, { [down]: [[2, 8], a] }, /lora_A\.weight has no .*lora_B\.weight; the file is incomplete/],
  ["the other half", {}, { [up]: [[8, 2], b] }, /lora_B\.weight has no lora_A; the file is incomplete/],
  [
    "a head that is the embedding",
    {},
    {
      "base_model.model.lm_head.lora_A.weight": [[2, 8], a],
      "base_model.model.lm_head.lora_B.weight": [[20, 2], numbers(40, 4)],
    },
    /lm_head\.weight, which the model does not have as a matrix of its own/,
  ],
  [
    "a head of a task",
    {},
    { "base_model.model.score.weight": [[2, 8], a] },
    /score\.weight, which the model does not have/,
  ],
  [
    "another kind",
    { peft_type: "IA3" },
    undefined,
    /adapter_config\.json: peft_type is "IA3", which is not supported; merge the adapter with PEFT/,
  ],
  ["DoRA", { use_dora: true }, undefined, /use_dora is true, which is not supported/],
  [
    "no number",
    { lora_alpha: "6" },
    undefined,
    /adapter_config\.json: lora_alpha must be a number, got "6"; the file is/,
  ],
  ["another start", { init_lora_weights: "pissa_niter_16" }, undefined, /init_lora_weights is "pissa_niter_16"/],
])("%s is refused", async (_, config, tensors, message) => {
  const path = await writeAdapter("refused", config, tensors);
  const attempt = matrixOf([path]);
  await expect(attempt).rejects.toThrow(CheckpointError);
  await expect(attempt).rejects.toThrow(message);
});

test("a folder that is no adapter is refused", async () => {
  await expect(matrixOf([at("base")])).rejects.toThrow("has no adapter_config.json; give the folder of an adapter");
});

test("blocks of a GGUF file are not merged into", async () => {
  const merging = mergeAdapters("base.gguf", [], at("never"), backend, { dtype: null });
  await expect(merging).rejects.toThrow("model: base.gguf is a GGUF file, whose blocks would be rounded anew");
});

test.each(["bfloat16", "float32"] as const)(
  "a base of %s says the same with the change beside it as in it",
  async (weights) => {
    const path = await writeAdapter("plain");
    const ids = Tensor.from(backend, Int32Array.of(1, 5, 3), [1, 3]);
    const logits = async (adapters: readonly string[], choice: WeightChoice): Promise<number[]> => {
      const { model } = await loadModel(at("base"), backend, choice, adapters);
      return [...(await model.logits(model.forward(ids)).floats())];
    };
    await mergeAdapters(at("rounded"), [`${path}=0.5`, path], at("sum"), backend, { dtype: "F32" });
    const { model } = await loadModel(at("sum"), backend);
    const inside = [...(await model.logits(model.forward(ids)).floats())];
    const beside = async (): Promise<number[]> => {
      const opened = await loadModel(at("rounded"), backend, weights, [`${path}=0.5`, path]);
      return [...(await opened.model.logits(opened.model.forward(ids)).floats())];
    };
    expectClose(await beside(), inside, { absolute: 1e-5, relative: 1e-5 });
    expect(await logits([path], weights)).not.toEqual(await logits([], weights));
  },
);

test("a merged folder has the base's files and the changed matrix, in the base's type", async () => {
  await mergeAdapters(at("base"), [await writeAdapter("plain")], at("merged"), backend, { dtype: null });
  expect(readFileSync(at("merged/config.json"), "utf8")).toBe(readFileSync(at("base/config.json"), "utf8"));
  const read = async (of: (tensors: TensorSource) => Promise<Float32Array>): Promise<number[]> => {
    const folder = await openModelFolder(at("merged"));
    return [...(await of(folder.tensors).finally(folder.close))];
  };
  expectClose(await read((tensors) => tensors.read(`${module}.weight`)), await expected(3), close);
  const type = await mergeAdapters(at("base"), [at("plain")], at("half"), backend, { dtype: "BF16" });
  expect(type).toBe("BF16");
  expect(await mergeAdapters(at("half"), [at("plain")], at("again"), backend, { dtype: null })).toBe("BF16");
});
