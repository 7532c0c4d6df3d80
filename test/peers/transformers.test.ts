import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PeerProcess } from "../../bench/peers/peer-process.ts";
import { openReference } from "../../src/backend/reference/index.ts";
import { bert } from "../../src/models/bert-families.ts";
import { loadModel, loadModelOf } from "../../src/models/load.ts";
import { t5 } from "../../src/models/t5-family.ts";
import { pretrain } from "../../src/stages/pretrain/index.ts";
import { runStage } from "../../src/stages/run-stage.ts";
import type { Stage } from "../../src/stages/stage.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { loadTokenizer } from "../../src/text/load-tokenizer.ts";
import { expectClose } from "../closeness.ts";
import { peersHint, pythonPeers, startPython } from "./python-peers.ts";

const backend = openReference();
const root = mkdtempSync(join(tmpdir(), "stemma-peers-"));
const at = (name: string): string => join(root, name);
afterAll(() => rmSync(root, { recursive: true }));

/** Float32 on both sides, over two layers. */
const tolerance = { absolute: 1e-4, relative: 1e-4 };

interface Outputs {
  readonly logits?: number[];
  readonly prediction_logits?: number[];
  readonly seq_relationship_logits?: number[];
  readonly last_hidden_state?: number[];
  readonly ids?: number[][];
  readonly complaints: string[];
}

const rows = [
  [3, 9, 27, 31, 5, 15],
  [30, 7, 21, 13, 11, 2],
];
const batch = (): Tensor => Tensor.from(backend, Int32Array.from(rows.flat()), [2, 6]);

/** What we say of the same tokens. */
const ours = {
  async decoder(folder: string): Promise<Outputs> {
    const { model } = await loadModel(folder, backend);
    return { logits: [...(await model.logits(model.forward(batch())).read())], complaints: [] };
  },
  async bert(folder: string): Promise<Outputs> {
    const missing: string[] = [];
    const model = await loadModelOf(bert, folder, backend, { random: null, report: (names) => missing.push(...names) });
    const hidden = model.forward(batch());
    const lacks = (part: string): boolean => missing.some((name) => name.startsWith(part));
    return {
      last_hidden_state: [...(await hidden.read())],
      ...(!lacks("cls.predictions") && { prediction_logits: [...(await model.logits(hidden).read())] }),
      ...(!lacks("cls.seq") && { seq_relationship_logits: [...(await model.relationshipLogits(hidden).read())] }),
      complaints: [],
    };
  },
  async t5(folder: string): Promise<Outputs> {
    const model = await loadModelOf(t5, folder, backend);
    const hidden = model.decode(batch(), model.encode(batch(), null));
    return { logits: [...(await model.logits(hidden).read())], complaints: [] };
  },
};
type Kind = keyof typeof ours;

const inputsOf = (kind: Kind): object => ({
  input_ids: rows,
  ...(kind === "t5" && { decoder_input_ids: rows }),
});

function expectEqual(actual: Outputs, expected: Outputs): void {
  let compared = 0;
  for (const key of ["logits", "prediction_logits", "seq_relationship_logits", "last_hidden_state"] as const) {
    const theirs = expected[key];
    const mine = actual[key] ?? (key === "logits" ? actual.prediction_logits : undefined);
    if (!theirs || !mine) continue;
    compared += 1;
    expectClose(mine, theirs, tolerance);
  }
  expect(compared).toBeGreaterThan(0);
}

/** Family, kind, class, and settings of the run. */
const pretrained: readonly [string, Kind, string, object][] = [
  ["gpt1", "decoder", "AutoModelForCausalLM", {}],
  ["gpt2", "decoder", "AutoModelForCausalLM", {}],
  ["llama", "decoder", "AutoModelForCausalLM", {}],
  ["mixtral", "decoder", "AutoModelForCausalLM", {}],
  ["gpt2", "decoder", "AutoModelForCausalLM", { objective: "prefix" }],
  ["bert", "bert", "AutoModelForPreTraining", { tokenizer: "wordpiece-150" }],
  ["t5", "t5", "AutoModelForSeq2SeqLM", {}],
];

const small = { vocab_size: 100, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2 };
const rotary = { ...small, intermediate_size: 24, num_key_value_heads: 1, max_position_embeddings: 64 };
const gpt = { vocab_size: 100, n_embd: 16, n_layer: 2, n_head: 2, n_positions: 32 };
const relative = { vocab_size: 100, d_model: 16, d_kv: 8, d_ff: 24, num_layers: 2, num_heads: 2 };
const llama3 = {
  ...{ rope_type: "llama3", factor: 4, low_freq_factor: 1, high_freq_factor: 3 },
  ...{ original_max_position_embeddings: 16, rope_theta: 5000 },
};
/** What it is, kind, class, config, and more of how it is made. */
const saved: readonly [string, Kind, string, object, object?][] = [
  ["GPT-1", "decoder", "OpenAIGPTLMHeadModel", { model_type: "openai-gpt", ...gpt }],
  ["GPT-2", "decoder", "GPT2LMHeadModel", { model_type: "gpt2", ...gpt }],
  ["an untied GPT-2", "decoder", "GPT2LMHeadModel", { model_type: "gpt2", ...gpt, tie_word_embeddings: false }],
  ["a GPT-2 that is tied by name", "decoder", "GPT2LMHeadModel", { model_type: "gpt2", ...gpt }, { own_head: true }],
  ["Llama", "decoder", "LlamaForCausalLM", { model_type: "llama", ...rotary }],
  ["a tied Llama", "decoder", "LlamaForCausalLM", { model_type: "llama", ...rotary, tie_word_embeddings: true }],
  ["a Llama 3", "decoder", "LlamaForCausalLM", { model_type: "llama", ...rotary, rope_parameters: llama3 }],
  ["Mixtral", "decoder", "MixtralForCausalLM", { model_type: "mixtral", ...rotary, num_local_experts: 4 }],
  ["BERT with both heads", "bert", "BertForPreTraining", { model_type: "bert", ...small, intermediate_size: 32 }],
  ["BERT for masked words", "bert", "BertForMaskedLM", { model_type: "bert", ...small, intermediate_size: 32 }],
  ["BERT's body", "bert", "BertModel", { model_type: "bert", ...small, intermediate_size: 32 }],
  [
    "a BERT with a decoder of its own",
    "bert",
    "BertForMaskedLM",
    { model_type: "bert", ...small, intermediate_size: 32, tie_word_embeddings: false },
  ],
  ["T5", "t5", "T5ForConditionalGeneration", { model_type: "t5", ...relative }],
  [
    "T5 v1.1",
    "t5",
    "T5ForConditionalGeneration",
    { model_type: "t5", ...relative, feed_forward_proj: "gated-gelu", tie_word_embeddings: false },
    { own_head: true },
  ],
  [
    "a tied T5 that is not scaled",
    "t5",
    "T5ForConditionalGeneration",
    { model_type: "t5", ...relative, tie_word_embeddings: false },
  ],
];

let peer: PeerProcess;
const ask = (command: object): Promise<Outputs> => peer.ask<Outputs>(command);

describe.skipIf(pythonPeers === null)(`transformers${peersHint}`, { timeout: 60_000 }, () => {
  beforeAll(() => {
    peer = startPython("transformers_folders.py");
  });
  afterAll(() => peer?.close());

  describe("opens what is pretrained here, and says the same", () => {
    test.each(pretrained)("%s as %s", async (model, kind, className, given) => {
      const folder = await trained(pretrain, { model, tokenizer: "bpe-300", ...tiny, ...given });
      const theirs = await ask({ op: "open", folder, class: className, inputs: inputsOf(kind) });
      expect(theirs.complaints).toEqual([]);
      expectEqual(await ours[kind](folder), theirs);
      const read = await ask({ op: "tokenize", folder, texts: [sentence] });
      expect(read.complaints).toEqual([]);
      const tokenizer = await loadTokenizer(folder);
      expect(read.ids).toEqual([[...tokenizer.frame(tokenizer.encode(sentence)).ids]]);
    });
  });

  describe("saves what opens here, and says the same", () => {
    test.each(saved)("%s", async (name, kind, className, config, more = {}) => {
      const folder = at(name.replaceAll(" ", "-"));
      const theirs = await ask({ op: "save", folder, class: className, config, inputs: inputsOf(kind), ...more });
      expectEqual(await ours[kind](folder), theirs);
    });
  });
});

const sentence = "the cat sat on a mat.";
const tiny = { layers: 2, heads: 2, width: 32, context: 32, batchSize: 4, learningRate: 5e-3, steps: 2 };

/** Runs a stage as the command line does, and gives the folder of its model. */
async function trained(stage: unknown, given: object): Promise<string> {
  writeFileSync(at("text.txt"), `${sentence} a dog ran from my log. `.repeat(150));
  const { settings } = stage as Stage;
  const output = mkdtempSync(at("run-"));
  const parsed = settings.parse({ data: [at("text.txt")], threads: 1, output, ...given });
  const { model } = await runStage(stage as Stage, parsed, { note: () => undefined });
  return model ?? "";
}
