import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import type { ModelContents } from "../checkpoint/model-folder.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import type { FloatDtype, WritableTensor } from "../checkpoint/tensor-source.ts";
import { CheckpointError } from "../core/errors.ts";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "../core/float-formats.ts";
import { Random } from "../core/random.ts";
import type { JsonObject } from "../files/json.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { llama } from "./decoders/llama.ts";
import type { AnyFamily } from "./family.ts";
import { gpt2 } from "./gpt-families.ts";
import { families, otherFamilies } from "./index.ts";
import type { StoredModel } from "./language-model.ts";
import { loadModel, loadModelOf } from "./load.ts";
import { storedTensors } from "./read-model.ts";

const backend = openReference();
const shape = { vocabularySize: 11, context: 6, width: 8, layers: 2, heads: 2, dropout: 0 };
const model = gpt2.create(gpt2.shaped(shape), new Initializer(backend, new Random(1)));
const config = gpt2.writeConfig(model.settings, { endOfText: 0 }) as JsonObject;
const tensors = storedTensors(gpt2, model);

let path = "";
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), "load-")), "model");
});
afterEach(() => rm(join(path, ".."), { recursive: true }));

/** A tensor that no parameter is for. */
function extra(name: string, size: readonly number[]): WritableTensor {
  return { name, shape: size, read: () => new Float32Array(size.reduce((a, b) => a * b, 1)) };
}

const unprefixed = tensors.map((tensor) => ({ ...tensor, name: tensor.name.replace("transformer.", "") }));
/** What folders published over the years hold beside the parameters. */
const buffers = [0, 1].flatMap((layer) => [
  extra(`h.${layer}.attn.bias`, [1, 1, 6, 6]),
  extra(`h.${layer}.attn.masked_bias`, []),
]);

const layouts: [string, WritableTensor[]][] = [
  ["with an output layer of zeros", [...tensors, extra("lm_head.weight", [11, 8])]],
  ["as we write it", tensors],
  ["without prefix", unprefixed],
  ["without prefix, with buffers", [...unprefixed, ...buffers]],
  [
    "with buffers and the tied output layer",
    [...tensors, ...prefixed(buffers), copyOf("transformer.wte.weight", "lm_head.weight")],
  ],
];

function copyOf(original: string, name: string): WritableTensor {
  return {
    name,
    shape: [11, 8],
    read: async () => (await tensors.find((t) => t.name === original)?.read()) ?? new Float32Array(),
  };
}

function prefixed(list: readonly WritableTensor[]): WritableTensor[] {
  return list.map((tensor) => ({ ...tensor, name: `transformer.${tensor.name}` }));
}

/** A value as it comes back from a file of that dtype. */
function rounded(values: Float32Array, dtype: FloatDtype): Float32Array {
  if (dtype === "F32") return values;
  const [to, from] = dtype === "F16" ? [toFloat16, fromFloat16] : [toBfloat16, fromBfloat16];
  const half = new Uint16Array(values.length);
  const back = new Float32Array(values.length);
  to(values, half);
  from(half, back);
  return back;
}

describe.each(layouts)("a GPT-2 folder %s", (_, layout) => {
  test.each(["F32", "F16", "BF16"] as const)("in %s, in one file or several", async (dtype) => {
    for (const maxShardBytes of [1e9, 1000]) {
      await writeModelFolder(path, { config, tensors: layout, dtype, maxShardBytes });
      expect((await readdir(path)).filter((name) => name.endsWith(".safetensors")).length > 1).toBe(
        maxShardBytes < 1e9,
      );
      const loaded = await loadModel(path, backend);
      expect(loaded.family).toBe(gpt2);
      const originals = parameters(model);
      for (const [name, parameter] of parameters(loaded.model)) {
        const original = Float32Array.from((await originals.get(name)?.read()) ?? []);
        expect(await parameter.read(), name).toEqual(rounded(original, dtype));
      }
    }
  });
});

const everyFamily: [string, AnyFamily][] = Object.entries({ ...families, ...otherFamilies });

test.each(everyFamily)("a %s whose weights hold NaN is refused", async (_, family) => {
  const settings: unknown = family.shaped(shape);
  const sound = family.create(settings as never, new Initializer(backend, new Random(1)));
  const [first, ...others] = storedTensors(family, sound);
  if (!first) throw new Error("a model without weights");
  const damaged = { ...first, read: async () => (await first.read()).fill(Number.NaN, 0, 1) };
  const ownConfig = family.writeConfig(settings as never, { endOfText: 0 }) as JsonObject;
  await writeModelFolder(path, { config: ownConfig, tensors: [damaged, ...others] });
  await expect(loadModelOf(family, path, backend)).rejects.toThrow(
    `model.safetensors: ${first.name} holds NaN at element 0`,
  );
});

const withHeads = everyFamily.filter(([, { ownHead }]) => ownHead);

describe.each(withHeads)("the output layer of a %s", (_, family) => {
  const { embedding, head } = family.ownHead ?? { embedding: "", head: "" };
  const settings = family.shaped(shape) as object;
  const tied = family.create({ ...settings, tiedEmbeddings: true } as never, new Initializer(backend, new Random(1)));
  const own = family.create({ ...settings, tiedEmbeddings: false } as never, new Initializer(backend, new Random(1)));
  const configOf = ({ settings: of }: StoredModel) => family.writeConfig(of as never, { endOfText: 0 }) as JsonObject;
  const outputOf = async (of: StoredModel) => (of as StoredModel & { outputWeight: Tensor }).outputWeight.read();

  test("is its own where the file holds another matrix than the embedding, whatever the config says", async () => {
    for (const from of [own, tied]) {
      await writeModelFolder(path, { config: configOf(from), tensors: storedTensors(family, own) });
      const loaded = await loadModelOf(family, path, backend);
      expect(await outputOf(loaded)).toEqual(await outputOf(own));
      expect(configOf(loaded)).toMatchObject({ tie_word_embeddings: false });
    }
  });

  test("is the embedding where the file holds it twice, once, or under the name of the output layer", async () => {
    const stored = storedTensors(family, tied);
    const renamed = stored.map((tensor) => (tensor.name === embedding ? { ...tensor, name: head } : tensor));
    const both = [...stored, ...renamed.filter(({ name }) => name === head)];
    for (const layout of [stored, both, renamed]) {
      await writeModelFolder(path, { config: configOf(tied), tensors: layout });
      const loaded = await loadModelOf(family, path, backend);
      expect(await outputOf(loaded)).toEqual(await outputOf(tied));
      expect(configOf(loaded)).toEqual(configOf(tied));
    }
  });
});

const { n_embd: _, ...withoutWidth } = config;

const refusals: [string, Partial<ModelContents>, string][] = [
  [
    "a model of another kind",
    { config: { model_type: "mamba" } },
    'model: config.json has model_type "mamba", which is not supported; known are openai-gpt, gpt2, lstm, llama',
  ],
  ["a config that does not say", { config: { n_embd: 8 } }, "config.json has no model_type; known are openai-gpt"],
  [
    "another width",
    { config: { ...config, n_embd: 10 } },
    "transformer.wte.weight [11, 8] ([11, 10] is expected), transformer.wpe.weight [6, 8] ([6, 10] is expected), " +
      "transformer.h.0.ln_1.weight [8] ([10] is expected), and 25 more have other shapes",
  ],
  [
    "more layers in the config",
    { config: { ...config, n_layer: 3 } },
    "and 9 more are missing; the file has 2 layers under transformer.h, the model has 3",
  ],
  [
    "fewer layers in the config",
    { config: { ...config, n_layer: 1 } },
    "and 9 more are not part of the model; the file has 2 layers under transformer.h, the model has 1",
  ],
  [
    "weights that GPTQ packed",
    { tensors: [...tensors.slice(1), integers("transformer.h.0.attn.c_attn.qweight", [1, 24])] },
    "transformer.h.0.attn.c_attn.qweight is of weights packed as GPTQ or AWQ, which is not supported; take the model's own",
  ],
  [
    "weights that bitsandbytes packed",
    { tensors: [...tensors, extra("transformer.h.0.attn.c_attn.weight.absmax", [3])] },
    "transformer.h.0.attn.c_attn.weight.absmax is of weights packed as bitsandbytes",
  ],
  [
    "weights of eight bits with a scale beside them",
    { tensors: [...tensors, extra("transformer.h.0.attn.c_attn.weight_scale", [1])] },
    "weight_scale is of weights packed as 8-bit floats or packed integers",
  ],
  [
    "a tensor of integers",
    { tensors: [...tensors.slice(1), integers("transformer.wte.weight", [11, 8])] },
    "transformer.wte.weight: is stored as I32, which cannot be read as floats",
  ],
  [
    "the same tensor with and without prefix",
    { tensors: [...tensors, extra("wte.weight", [11, 8])] },
    "transformer.wte.weight and wte.weight are both transformer.wte.weight",
  ],
  [
    "a key of a wrong type",
    { config: { ...config, n_head: "two" } },
    'model: config.json: n_head is "two"; it must be a number; correct the file or fetch it again',
  ],
  [
    "a missing key",
    { config: withoutWidth },
    "config.json: n_embd is missing; it must be a number; correct the file or fetch it again",
  ],
  [
    "a size of 0",
    { config: { ...config, n_layer: 0 } },
    "config.json: n_layer is 0; it must be more than 0; correct the",
  ],
  [
    "a flag for another kind of model",
    { config: { ...config, add_cross_attention: true } },
    "config.json: add_cross_attention is true, which is not supported; choose another model",
  ],
  [
    "an unknown activation",
    { config: { ...config, activation_function: "mish" } },
    'config.json: activation_function is "mish"; it must be one of gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, quick_gelu, relu,',
  ],
  [
    "heads that do not divide",
    { config: { ...config, n_head: 3 } },
    "config.json: gpt: 3 heads do not divide a width of 8",
  ],
  ["an absurd width", { config: { ...config, n_embd: 2e9 } }, "the model is far larger than its weights"],
  ["an absurd vocabulary", { config: { ...config, vocab_size: 2 ** 52 } }, "the model is far larger than its weights"],
  ["an absurd depth", { config: { ...config, n_layer: 1e9 } }, "n_layer is 1000000000; it must be at most 10000"],
  ["a depth without weights", { config: { ...config, n_layer: 1e4 } }, "the model is far larger than its weights"],
];

function integers(name: string, size: readonly number[]): WritableTensor {
  return { name, shape: size, dtype: "I32", read: () => new Int32Array(size.reduce((a, b) => a * b, 1)) };
}

test.each([
  [{ sliding_window: 4 }, "sliding_window is 4"],
  [{ layer_types: ["full_attention", "sliding_attention"] }, "layer_types is"],
  [{ final_logit_softcapping: 30 }, "final_logit_softcapping is 30"],
  [
    { quantization_config: { bits: 4 } },
    'quantization_config is {"bits":4}, which is not supported; take the model\'s own weights',
  ],
  [{ hidden_act: "relu2" }, 'hidden_act is "relu2"'],
])("a Llama's config with %j asks for another model and is refused", (change, message) => {
  const usual = llama.writeConfig(llama.shaped(shape), { endOfText: 0 });
  expect(() => llama.readConfig({ ...usual, ...change })).toThrow(message);
});

test("keys at values that change nothing pass", () => {
  const usual = llama.writeConfig(llama.shaped(shape), { endOfText: 0 });
  const neutral = {
    ...{ sliding_window: 6, layer_types: ["full_attention"], partial_rotary_factor: 1, pruned_heads: {} },
    ...{ final_logit_softcapping: null, quantization_config: null, pretraining_tp: 1, use_cache: true },
  };
  const read = (config: object): object => ({ ...llama.readConfig({ ...usual, ...config }), config: null });
  expect(read(neutral)).toEqual(read({}));
  expect(read({ sliding_window: 4, use_sliding_window: false })).toEqual(read({}));
});

test("a wrong key within another is named with its value", () => {
  const config = llama.writeConfig(llama.shaped(shape), { endOfText: 0 });
  const scaled = (scaling: object) => () => llama.readConfig({ ...config, rope_scaling: scaling });
  expect(scaled({ rope_type: "dynamic", factor: 4 })).toThrow('config.json: rope_scaling.rope_type is "dynamic"');
  expect(scaled({ rope_type: "linear" })).toThrow('rope_scaling is {"rope_type":"linear"}; a key that this type');
});

test.each(refusals)("%s is refused", async (_, change, message) => {
  await writeModelFolder(path, { config, tensors, ...change });
  const failure = await loadModel(path, backend).catch((error: unknown) => error);
  expect((failure as Error).message).toContain(message);
  expect(failure).toBeInstanceOf(CheckpointError);
});

test("an error about weights says what the config asks for", async () => {
  const asked = { ...llama.writeConfig(llama.shaped(shape), { endOfText: 0 }), attention_bias: true };
  await writeModelFolder(path, { config: asked as typeof config, tensors });
  await expect(loadModel(path, backend)).rejects.toThrow("belong together (model_type llama, attention_bias true)");
  const damaged = { ...asked, sliding_window: 4, model_type: "mistral", num_key_value_heads: 3 };
  await writeModelFolder(path, { config: damaged as typeof config, tensors });
  await expect(loadModel(path, backend)).rejects.toThrow(
    "2 heads (model_type mistral, sliding_window 4, attention_bias",
  );
});
