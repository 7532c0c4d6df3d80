import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PeerProcess } from "../../bench/peers/peer-process.ts";
import { openReference } from "../../src/backend/reference/index.ts";
import { readTaskExamples } from "../../src/data/task-examples.ts";
import { encodeExamples } from "../../src/data/task-inputs.ts";
import { bert } from "../../src/models/bert-families.ts";
import { loadModel, loadModelOf } from "../../src/models/load.ts";
import { loadTextToText } from "../../src/models/load-text-to-text.ts";
import { loadRewardModel } from "../../src/models/reward-model.ts";
import { dpo } from "../../src/stages/dpo.ts";
import { finetune } from "../../src/stages/finetune.ts";
import { encodingOf, openTrainedSolver } from "../../src/stages/finetune-model.ts";
import { pretrain } from "../../src/stages/pretrain/index.ts";
import { reward } from "../../src/stages/reward.ts";
import { runStage } from "../../src/stages/run-stage.ts";
import { sft } from "../../src/stages/sft.ts";
import type { Stage } from "../../src/stages/stage.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { loadTokenizer } from "../../src/text/load-tokenizer.ts";
import { readTask } from "../../src/train/task-objective.ts";
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
    const report = (names: readonly string[]): unknown => missing.push(...names);
    const model = await loadModelOf(bert, folder, backend, { missing: { random: null, report } });
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
    const { model } = await loadTextToText(folder, backend);
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
  ["bart", "t5", "AutoModelForSeq2SeqLM", {}],
  ["transformer", "t5", "AutoModelForSeq2SeqLM", {}],
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

  describe("opens what is pretrained here, and says the same", pretrainedHere);
  describe("opens what is fine-tuned here, and says the same of a padded batch", finetunedHere);
  test("opens what is aligned here: SFT, a reward model and DPO", alignedHere);
  describe("saves classifiers that predict asks", classifiersOfOthers);
  describe("saves what opens here, and says the same", savedThere);
});

function pretrainedHere(): void {
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
}

function finetunedHere(): void {
  test.each(["gpt1", "gpt2", "llama", "mixtral", "bert"])("%s", async (model) => {
    const base = await based(model);
    const folder = await trained(finetune, { model: base, data: [rowsOf("rows")], ...task });
    const theirs = await ask({ op: "classify", folder, texts });
    expect(theirs.complaints).toEqual([]);
    expectClose(await answersOf(folder), theirs.logits ?? [], tolerance);
  });

  test("bert that chooses", async () => {
    const chosen = { ...task, task: "multiple-choice", data: [rowsOf("choices")] };
    const folder = await trained(finetune, { model: await based("bert"), ...chosen });
    const [context = "", ...choices] = texts;
    const command = { op: "classify", class: "AutoModelForMultipleChoice", folder };
    const theirs = await ask({ ...command, texts: choices.map(() => context), pairs: choices });
    expect(theirs.complaints).toEqual([]);
    expectClose(await answersOf(folder), theirs.logits ?? [], tolerance);
  });

  test.each(["gpt2", "llama", "bert"])("adapters of %s, with PEFT", async (model) => {
    const base = await based(model);
    const adapted = { ...task, data: [rowsOf("rows")], loraRank: 2, learningRate: 0.05 };
    const folder = await trained(finetune, { model: base, ...adapted });
    const adapter = join(folder, "../adapter");
    const theirs = await ask({ op: "adapt", base, labels: 2, adapter, folder, texts });
    expect(theirs.complaints).toEqual([]);
    expectClose(await answersOf(folder), theirs.logits ?? [], tolerance);
  });
}

async function alignedHere(): Promise<void> {
  const machine = { batchSize: 2, steps: 2, validationShare: 0 };
  const base = await based("llama");
  const policy = await trained(sft, { model: base, data: [rowsOf("talks")], ...machine });
  const judge = await trained(reward, { model: policy, data: [rowsOf("rankings")], ...machine });
  const aligned = await trained(dpo, { model: policy, data: [rowsOf("rankings")], ...machine });
  for (const folder of [policy, aligned]) {
    const theirs = await ask({ op: "open", folder, class: "AutoModelForCausalLM", inputs: inputsOf("decoder") });
    expect(theirs.complaints).toEqual([]);
    expectEqual(await ours.decoder(folder), theirs);
    const { ids, complaints } = await ask({ op: "tokenize", folder, texts });
    expect(complaints).toEqual([]);
    const tokenizer = await loadTokenizer(folder);
    expect(ids).toEqual(texts.map((text) => [...tokenizer.frame(tokenizer.encode(text)).ids]));
  }
  const asked = { class: "AutoModelForSequenceClassification", inputs: inputsOf("decoder") };
  const theirs = await ask({ op: "open", folder: judge, ...asked });
  expect(theirs.complaints).toEqual([]);
  const { model } = await loadRewardModel(judge, backend, null);
  const scores = await model.scores(batch(), Int32Array.of(5, 11)).read();
  const unshifted = [...scores].map((score) => score - model.shift);
  expectClose(unshifted, theirs.logits ?? [], tolerance);
}

function classifiersOfOthers(): void {
  const three = { num_labels: 3, vocab_size: 320, pad_token_id: 0 };
  test.each([
    ["bert", "BertForSequenceClassification", { model_type: "bert", ...small, intermediate_size: 32 }],
    ["gpt2", "GPT2ForSequenceClassification", { model_type: "gpt2", ...gpt }],
    ["llama", "LlamaForSequenceClassification", { model_type: "llama", ...rotary }],
  ])("%s", async (model, className, config) => {
    const folder = at(className);
    const tokenizer = await based(model);
    await ask({ op: "save", folder, class: className, config: { ...config, ...three }, tokenizer });
    const theirs = await ask({ op: "classify", folder, texts });
    expectClose(await answersOf(folder), theirs.logits ?? [], tolerance);
  });
}

function savedThere(): void {
  test.each(saved)("%s", async (name, kind, className, config, more = {}) => {
    const folder = at(name.replaceAll(" ", "-"));
    const theirs = await ask({ op: "save", folder, class: className, config, inputs: inputsOf(kind), ...more });
    expectEqual(await ours[kind](folder), theirs);
  });
}

const bases = new Map<string, Promise<string>>();

/** The folder of a small pretrained model, made once. */
async function based(model: string): Promise<string> {
  const tokenizer = model === "bert" ? "wordpiece-150" : "bpe-300";
  const made = bases.get(model) ?? trained(pretrain, { model, tokenizer, ...tiny });
  bases.set(model, made);
  return made;
}

const texts = ["the cat sat on a mat.", "a dog ran.", "my dog sat on the cat and ran from a log."];

/** What a classifier's folder says of {@link texts}; of the first with each of the others, where it chooses. */
async function answersOf(folder: string): Promise<number[]> {
  const solver = await openTrainedSolver(folder, backend);
  const { task: kind, columns } = solver.model.description;
  const [context, ...choices] = texts;
  const asked = kind === "multiple-choice" ? [{ context, choices }] : texts.map((text) => ({ text }));
  const file = at("asked.jsonl");
  writeFileSync(file, asked.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const reading = { task: kind, columns, isScore: false, needsLabels: false };
  const { examples } = await encodeExamples(
    await readTaskExamples([file], reading),
    encodingOf(solver, { context: null, longRows: "error" }),
    () => Number.NaN,
  );
  return (await readTask(solver.model, examples, 8)).flatMap((output) => [...output]);
}

const task = { task: "classification", steps: 3, validationShare: 0, learningRate: 1e-2, batchSize: 8 };

/** A file of rows for a stage. */
function rowsOf(name: "rows" | "choices" | "talks" | "rankings"): string {
  const rowOf = {
    rows: (i: number) => ({ text: texts[i % 3], label: i % 2 ? "one" : "two" }),
    choices: (i: number) => ({ context: texts[i % 3], choices: ["a dog.", "the cat."], answer: i % 2 }),
    talks: (i: number) => ({ prompt: texts[i % 3], completion: "a mat." }),
    rankings: (i: number) => ({ prompt: texts[i % 3], completions: ["a dog.", "the cat."], ranks: [1, 2 + (i % 2)] }),
  }[name];
  const all = Array.from({ length: 12 }, (_, i) => `${JSON.stringify(rowOf(i))}\n`);
  writeFileSync(at(`${name}.jsonl`), all.join(""));
  return at(`${name}.jsonl`);
}

const sentence = "the cat sat on a mat.";
const tiny = { layers: 2, heads: 2, width: 32, context: 64, batchSize: 4, learningRate: 5e-3, steps: 2 };

/** Runs a stage as the command line does, and gives the folder of its model. */
async function trained(stage: unknown, given: object): Promise<string> {
  writeFileSync(at("text.txt"), `${sentence} a dog ran from my log. `.repeat(150));
  const { settings } = stage as Stage;
  const output = mkdtempSync(at("run-"));
  const parsed = settings.parse({ data: [at("text.txt")], threads: 1, output, ...given });
  const { model } = await runStage(stage as Stage, parsed, { note: () => undefined });
  return model ?? "";
}
