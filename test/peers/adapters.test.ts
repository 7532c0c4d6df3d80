import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PeerProcess } from "../../bench/peers/peer-process.ts";
import { openReference } from "../../src/backend/reference/index.ts";
import { fillAdapterFolder } from "../../src/checkpoint/model-folder.ts";
import { Random } from "../../src/core/random.ts";
import type { EncoderFamily } from "../../src/models/encoder-family.ts";
import { encoders } from "../../src/models/encoders.ts";
import type { AnyFamily } from "../../src/models/family.ts";
import type { StoredModel } from "../../src/models/language-model.ts";
import { loadModel, loadModelOf } from "../../src/models/load.ts";
import { loadTextToText } from "../../src/models/load-text-to-text.ts";
import { adapt } from "../../src/models/low-rank-adapters.ts";
import { adapterContents } from "../../src/models/write-adapters.ts";
import { trainedParameters } from "../../src/nn/parameters.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { expectClose } from "../closeness.ts";
import { peersHint, pythonPeers, startPython } from "./python-peers.ts";

const backend = openReference();
const root = mkdtempSync(join(tmpdir(), "stemma-peft-"));
const at = (name: string): string => join(root, name);
afterAll(() => rmSync(root, { recursive: true }));

/** Float32 on both sides, over two layers. */
const tolerance = { absolute: 1e-4, relative: 1e-4 };

const rows = [
  [3, 9, 27, 31, 5, 15],
  [30, 7, 21, 13, 11, 2],
];

/** Logits of a folder with adapters added, or of a model. */
async function logitsOf(folder: string, adapters: readonly string[] = []): Promise<Float32Array> {
  const { model } = await loadModel(folder, backend, "float32", adapters);
  return model.logits(model.forward(Tensor.from(backend, Int32Array.from(rows.flat()), [2, 6]))).floats();
}

const common = { vocab_size: 100, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4 };
const grouped = { ...common, intermediate_size: 24, num_key_value_heads: 2, max_position_embeddings: 64 };
const plain = { ...common, intermediate_size: 24, max_position_embeddings: 64 };
const lora = { r: 4, lora_alpha: 8 };
const qkv = ["q_proj", "k_proj", "v_proj"];

/** Family, class, config, and what PEFT adapts. */
const families: readonly (readonly [string, string, object, object])[] = [
  ["llama", "LlamaForCausalLM", grouped, { ...lora, target_modules: [...qkv, "o_proj", "gate_proj", "down_proj"] }],
  ["llama", "LlamaForCausalLM", grouped, { ...lora, use_rslora: true, target_modules: "all-linear" }],
  [
    "qwen2",
    "Qwen2ForCausalLM",
    grouped,
    {
      ...{ ...lora, target_modules: [...qkv, "up_proj"], bias: "lora_only" },
      ...{ rank_pattern: { q_proj: 2, "layers.1.self_attn.v_proj": 3 }, alpha_pattern: { k_proj: 5 } },
    },
  ],
  [
    "gpt2",
    "GPT2LMHeadModel",
    { vocab_size: 100, n_embd: 32, n_layer: 2, n_head: 4, n_positions: 32 },
    { ...lora, target_modules: ["c_attn", "c_proj", "c_fc"], fan_in_fan_out: true },
  ],
  [
    "phi3",
    "Phi3ForCausalLM",
    { ...grouped, pad_token_id: 0, partial_rotary_factor: 0.5 },
    { ...lora, target_modules: ["qkv_proj", "gate_up_proj", "down_proj"] },
  ],
  [
    "phi",
    "PhiForCausalLM",
    { ...plain, partial_rotary_factor: 0.5 },
    { ...lora, target_modules: [...qkv, "dense", "fc1"] },
  ],
  [
    "gpt_neox",
    "GPTNeoXForCausalLM",
    { ...plain, rotary_pct: 0.25 },
    { ...lora, target_modules: ["query_key_value", "dense", "dense_h_to_4h"] },
  ],
  [
    "gptj",
    "GPTJForCausalLM",
    { vocab_size: 100, n_embd: 32, n_layer: 2, n_head: 4, n_positions: 32, rotary_dim: 4 },
    { ...lora, target_modules: [...qkv, "out_proj", "fc_in"] },
  ],
  [
    "gemma",
    "GemmaForCausalLM",
    { ...grouped, head_dim: 8 },
    { ...lora, target_modules: [...qkv, "o_proj", "up_proj"] },
  ],
  [
    "falcon",
    "FalconForCausalLM",
    { ...common, new_decoder_architecture: true, num_kv_heads: 2 },
    { ...lora, target_modules: ["query_key_value", "dense"] },
  ],
  [
    "bloom",
    "BloomForCausalLM",
    { vocab_size: 100, hidden_size: 32, n_layer: 2, n_head: 4 },
    { ...lora, target_modules: ["query_key_value", "dense"] },
  ],
];

const textToText = { vocab_size: 100, d_model: 32, pad_token_id: 0, decoder_start_token_id: 0 };
const stacks = {
  ...{ encoder_layers: 2, decoder_layers: 2, encoder_attention_heads: 4, decoder_attention_heads: 4 },
  ...{ encoder_ffn_dim: 24, decoder_ffn_dim: 24, max_position_embeddings: 64 },
};
const bertLike = { ...plain, pad_token_id: 0, type_vocab_size: 1 };

/** Families that are no decoders: type, class, config, what PEFT adapts, and which kind of model it is. */
const others: readonly (readonly [string, string, object, object, "text-to-text" | keyof typeof encoders])[] = [
  [
    "t5",
    "T5ForConditionalGeneration",
    { ...textToText, d_kv: 8, d_ff: 24, num_layers: 2, num_heads: 4, feed_forward_proj: "gated-gelu" },
    { ...lora, target_modules: ["q", "k", "v", "o", "wi_0", "wo"] },
    "text-to-text",
  ],
  [
    "bart",
    "BartForConditionalGeneration",
    { ...textToText, ...stacks },
    { ...lora, target_modules: [...qkv, "out_proj", "fc1", "fc2"] },
    "text-to-text",
  ],
  [
    "marian",
    "MarianMTModel",
    { ...textToText, ...stacks, decoder_vocab_size: 100 },
    { ...lora, target_modules: [...qkv, "fc2"] },
    "text-to-text",
  ],
  ["bert", "BertForMaskedLM", bertLike, { ...lora, target_modules: ["query", "key", "value", "output.dense"] }, "bert"],
  [
    "roberta",
    "RobertaForMaskedLM",
    { ...bertLike, max_position_embeddings: 66, pad_token_id: 1 },
    { ...lora, target_modules: ["query", "key", "value", "intermediate.dense"] },
    "roberta",
  ],
];

/** A model that is no decoder, its family, and what it says of the {@link rows}. */
async function openOther(
  kind: "text-to-text" | keyof typeof encoders,
  folder: string,
  adapters: readonly string[] = [],
): Promise<{ model: StoredModel; family: AnyFamily; logits: () => Promise<Float32Array> }> {
  const ids = (): Tensor => Tensor.from(backend, Int32Array.from(rows.flat()), [2, 6]);
  if (kind === "text-to-text") {
    const { model, family } = await loadTextToText(folder, backend, { adapters });
    const hidden = (): Tensor => model.decode(ids(), model.encode(ids(), null));
    return { model, family: family as AnyFamily, logits: () => model.logits(hidden()).floats() };
  }
  const family = (encoders[kind] as EncoderFamily).words;
  const missing = { random: null, report: () => undefined };
  const model = await loadModelOf(family, folder, backend, { adapters, missing });
  return { model, family, logits: () => model.logits(model.forward(ids())).floats() };
}

let peer: PeerProcess;
interface Answer {
  readonly logits: number[];
  readonly complaints: string[];
}
const inputs = { input_ids: rows };

describe.skipIf(pythonPeers === null)(`PEFT${peersHint}`, { timeout: 120_000 }, () => {
  beforeAll(() => {
    peer = startPython("transformers_folders.py");
  });
  afterAll(() => peer?.close());

  test.each(families.map((family, i) => [...family, i] as const))(
    "adapters of %s as it writes them open here",
    async (type, className, config, given, i) => {
      const [folder, adapter] = [at(`${type}-${i}`), at(`${type}-${i}-adapter`)];
      const made = { folder, class: className, config: { model_type: type, ...config }, adapter, lora: given, inputs };
      const theirs = await peer.ask<Answer>({ op: "random_lora", ...made });
      const found = await logitsOf(folder, [adapter]);
      expectClose(found, theirs.logits, tolerance);
      const base = await logitsOf(folder);
      expect(Math.max(...base.map((value, at) => Math.abs(value - (found[at] ?? 0))))).toBeGreaterThan(0.01);
      const halves = await logitsOf(
        folder,
        [`${adapter}=0.25`, `${adapter}=0.75`].slice(0, given && "bias" in given ? 0 : 2),
      );
      if (!("bias" in given)) expectClose(halves, theirs.logits, tolerance);
    },
  );

  test.each(others)("adapters of %s open here as it writes them, and there as they are written here", compareOther);

  test("it opens an adapter that holds what was added to a base for reading only, too", compareStacked);

  test.each(families.filter(([type], i) => families.findIndex(([other]) => other === type) === i))(
    "it opens adapters of %s as they are written here",
    async (type, className, config) => {
      const [folder, adapter] = [at(`ours-${type}`), at(`ours-${type}-adapter`)];
      await peer.ask({ op: "save", folder, class: className, config: { model_type: type, ...config } });
      const { model, family } = await loadModel(folder, backend);
      const options = { rank: 2, alpha: 6, targets: "all" } as const;
      adapt(model, options, new Random(1));
      for (const parameter of trainedParameters(model).values()) {
        parameter.write(new Random(3).normal(parameter.size, 0.1));
      }
      const about = { ...options, base: folder, taskType: "CAUSAL_LM" } as const;
      mkdirSync(adapter, { recursive: true });
      await fillAdapterFolder(adapter, adapterContents(family.tensors(model), model, about, [], []));
      const ours = await model
        .logits(model.forward(Tensor.from(backend, Int32Array.from(rows.flat()), [2, 6])))
        .floats();
      const theirs = await peer.ask<Answer>({ op: "with_lora", folder, class: className, adapter, inputs });
      expect(theirs.complaints).toEqual([]);
      expectClose(ours, theirs.logits, tolerance);
      expectClose(await logitsOf(folder, [adapter]), theirs.logits, tolerance);
    },
  );
});

async function compareOther(...[type, className, config, given, kind]: (typeof others)[number]): Promise<void> {
  const [folder, adapter, ours] = [at(`other-${type}`), at(`other-${type}-adapter`), at(`other-${type}-ours`)];
  const asked = { ...inputs, ...(kind === "text-to-text" && { decoder_input_ids: rows }) };
  const made = { folder, class: className, config: { model_type: type, ...config }, adapter, lora: given };
  const theirs = await peer.ask<Answer>({ op: "random_lora", ...made, inputs: asked });
  const found = await (await openOther(kind, folder, [adapter])).logits();
  expectClose(found, theirs.logits, tolerance);
  const { model, family, logits } = await openOther(kind, folder);
  const base = await logits();
  expect(Math.max(...base.map((value, i) => Math.abs(value - (found[i] ?? 0))))).toBeGreaterThan(0.01);
  const options = { rank: 2, alpha: 6, targets: "all" } as const;
  adapt((model as { readonly body?: StoredModel }).body ?? model, options, new Random(1));
  for (const parameter of trainedParameters(model).values()) {
    if (parameter.axis(-1) === 2 || parameter.axis(0) === 2) {
      parameter.write(new Random(3).normal(parameter.size, 0.1));
    }
  }
  const taskType = kind === "text-to-text" ? "SEQ_2_SEQ_LM" : null;
  mkdirSync(ours, { recursive: true });
  const about = { ...options, base: folder, taskType } as const;
  await fillAdapterFolder(ours, adapterContents(family.tensors(model), model, about, [], []));
  const there = await peer.ask<Answer>({ op: "with_lora", folder, class: className, adapter: ours, inputs: asked });
  expect(there.complaints).toEqual([]);
  expectClose(await logits(), there.logits, tolerance);
  expectClose(await (await openOther(kind, folder, [ours])).logits(), there.logits, tolerance);
}

async function compareStacked(): Promise<void> {
  const [folder, first, all] = [at("halves"), at("halves-first"), at("halves-all")];
  const [type, className, config] = ["qwen2", "Qwen2ForCausalLM", grouped];
  const made = { folder, class: className, config: { model_type: type, ...config }, halves: true };
  const own = { ...lora, target_modules: ["q_proj", "v_proj", "down_proj"], rank_pattern: { v_proj: 3 } };
  await peer.ask({ op: "random_lora", ...made, adapter: first, lora: own, inputs });
  const { model, family } = await loadModel(folder, backend, "bfloat16", [first]);
  const options = { rank: 2, alpha: 6, targets: "attention" } as const;
  adapt(model, options, new Random(1));
  for (const parameter of trainedParameters(model).values()) {
    parameter.write(new Random(3).normal(parameter.size, 0.1));
  }
  const about = { ...options, base: folder, taskType: "CAUSAL_LM", withAdded: true } as const;
  mkdirSync(all, { recursive: true });
  await fillAdapterFolder(all, adapterContents(family.tensors(model), model, about, [], []));
  const ours = await model.logits(model.forward(Tensor.from(backend, Int32Array.from(rows.flat()), [2, 6]))).floats();
  const theirs = await peer.ask<Answer>({ op: "with_lora", folder, class: className, adapter: all, inputs });
  expect(theirs.complaints).toEqual([]);
  expectClose(ours, theirs.logits, tolerance);
  expectClose(await logitsOf(folder, [all]), theirs.logits, tolerance);
}
