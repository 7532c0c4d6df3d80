import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { openSafetensors } from "../checkpoint/safetensors-file.ts";
import { Random } from "../core/random.ts";
import type { JsonObject } from "../files/json.ts";
import { assistantContents } from "../generate/assistant.ts";
import { bert } from "../models/bert-families.ts";
import { families } from "../models/index.ts";
import { storedTensors } from "../models/read-model.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { finetune } from "./finetune.ts";
import { openTrainedSolver } from "./finetune-model.ts";
import type { StageResult } from "./run-stage.ts";
import { runStage } from "./run-stage.ts";

const backend = openReference();
const root = mkdtempSync(join(tmpdir(), "stemma-finetune-"));
const at = (name: string): string => join(root, name);

function writeJsonl(name: string, rows: readonly object[]): string {
  writeFileSync(at(name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return at(name);
}

async function run(given: object, signal?: AbortSignal): Promise<StageResult & { notes: string[] }> {
  const notes: string[] = [];
  const settings = finetune.settings.parse({ threads: 1, model: at("gpt2"), ...common, ...given });
  const watcher = { note: (line: string) => void notes.push(line), ...(signal ? { signal } : {}) };
  return { ...(await runStage(finetune, settings, watcher)), notes };
}

const common = { batchSize: 8, learningRate: 1e-2, schedule: "constant", validationShare: 0.3, headDropout: 0 };
const weightsOf = (folder: string): Buffer => readFileSync(join(folder, "model.safetensors"));
const words = ["red", "green", "blue", "black", "cold", "warm"];
const word = (i: number): string => words[i % words.length] ?? "";

beforeAll(async () => {
  const text = `say a colour. ${words.join(" ")} first second one two three the and\n`.repeat(20);
  const tokenizer = trainByteLevelBpe([text], { vocabularySize: 290 }).withSpecialTokens(["<|endoftext|>"], {
    eos: "<|endoftext|>",
  });
  const shape = { vocabularySize: tokenizer.vocabularySize, context: 40, width: 16, layers: 2, heads: 2, dropout: 0 };
  for (const [name, family] of Object.entries(families)) {
    const model = family.create(family.shaped(shape) as never, new Initializer(backend, new Random(1)));
    const base = { model, family, encoder: new ChatEncoder(tokenizer, null) } as Parameters<
      typeof assistantContents
    >[0];
    await writeModelFolder(at(name), assistantContents(base));
  }
  await writeBert();
  const numbers = Array.from({ length: 48 }, (_, i) => i);
  writeJsonl(
    "colours.jsonl",
    numbers.map((i) => ({ text: `the ${word(i)} one ${i}`, label: i % 6 < 4 ? "colour" : "temperature" })),
  );
  writeJsonl(
    "pairs.jsonl",
    numbers.map((i) => {
      const isSame = i % 3 > 0;
      return { premise: `one ${word(i)} ${i}`, hypothesis: `two ${isSame ? word(i) : word(i + 1)}`, label: isSame };
    }),
  );
  writeJsonl(
    "similar.jsonl",
    numbers.map((i) => ({ first: `one ${word(i)}`, second: `two ${word(i + (i % 2))} ${i}`, label: i % 2 })),
  );
  writeJsonl(
    "choices.jsonl",
    numbers.map((i) => ({
      context: `${i % 2 ? "a colour" : "warm or cold"} ${i}`,
      choices: i % 4 < 2 ? ["green", "warm"] : ["cold", "blue"],
      answer: (i % 4 < 2 ? i % 2 : 1 - (i % 2)) === 1 ? 0 : 1,
    })),
  );
});
afterAll(() => rmSync(root, { recursive: true }));

/** A BERT that knows the words of the tasks and nothing else. */
async function writeBert(): Promise<void> {
  const known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words, ..."the one two a colour or".split(" ")];
  const shape = { vocabularySize: known.length, context: 40, width: 16, layers: 2, heads: 2, dropout: 0 };
  // Weights of the usual size leave all states of so narrow a model alike: what it learned would depend on luck.
  const settings = { ...bert.shaped(shape), initializerRange: 0.2 };
  const model = bert.create(settings, new Initializer(backend, new Random(1)));
  await writeModelFolder(at("bert"), {
    config: bert.writeConfig(model.settings, { endOfText: null }) as JsonObject,
    tensors: storedTensors(bert, model),
    extraFiles: {
      "vocab.txt": `${known.join("\n")}\n`,
      "tokenizer_config.json": JSON.stringify({ tokenizer_class: "BertTokenizer", do_lower_case: true }),
    },
  });
}

test.each(Object.keys(families))("%s learns classes by name, and its folder says them", async (family) => {
  const settings = {
    task: "classification",
    data: [at("colours.jsonl")],
    model: at(family),
    steps: 50,
    languageModelWeight: 0.1,
    learningRate: 2e-2,
  };
  const { metrics, model, notes } = await run({ ...settings, output: at(`class-${family}`) });
  expect(metrics.eval_accuracy).toBeGreaterThan(0.8);
  expect(metrics.language_model_loss).toBeLessThan(4);
  expect(notes[0]).toMatch(/^1[0-9] of 48 rows are held out$/);
  expect(notes[1]).toMatch(/rows of 2 classes: colour 6\d\.\d %, temperature 3/);
  expect(notes.join("\n")).toMatch(
    /accuracy +[01]\.\d+ .*\n.*\n.*\nfew examples.*\ncommonest class.*\nbag of words +[01]\.\d+ .*\n.*taken for →/,
  );
  const config = JSON.parse(readFileSync(join(model ?? "", "config.json"), "utf8")) as Record<string, unknown>;
  expect(config.architectures).toEqual([expect.stringMatching(/ForSequenceClassification$/)]);
  expect(config.id2label).toEqual({ 0: "colour", 1: "temperature" });
  const { tokenizer, template, model: opened } = await openTrainedSolver(model ?? "", backend);
  expect(opened.description.labels).toEqual(["colour", "temperature"]);
  const { ids } = template.frame(tokenizer.encode("red"), tokenizer.encode("blue"));
  expect(tokenizer.decode(ids)).toBe("<|start|>red<|delimiter|>blue<|extract|>");
  expect(tokenizer.frame(tokenizer.encode("red"), tokenizer.encode("blue")).ids).toEqual(ids);
});

test.each([
  ["entailment", "pairs.jsonl", {}, "eval_accuracy"],
  ["similarity", "similar.jsonl", {}, "eval_accuracy"],
  ["similarity", "similar.jsonl", { score: true }, "eval_pearson"],
  ["multiple-choice", "choices.jsonl", {}, "eval_accuracy"],
])("%s of %s, %o", async (task, data, more, metric) => {
  const output = at(`${task}-${metric}`);
  const settings = { task, data: [at(data)], output, steps: 60, languageModelWeight: 0, seed: 42, ...more };
  const { metrics } = await run(settings);
  expect(metrics.task_loss).toBeLessThan(0.4);
  expect(metrics[metric]).toBeGreaterThan(0.7);
  expect(metrics).not.toHaveProperty("language_model_loss");
});

test.each([
  ["classification", "colours.jsonl", "eval_accuracy", ["BertForSequenceClassification"]],
  ["similarity", "similar.jsonl", "eval_accuracy", ["BertForSequenceClassification"]],
  ["multiple-choice", "choices.jsonl", "eval_accuracy", ["BertForMultipleChoice"]],
])("BERT learns %s in its own form", async (task, data, metric, architectures) => {
  const settings = { task, data: [at(data)], model: at("bert"), output: at(`bert-${task}`), steps: 60 };
  const { metrics, model } = await run(settings);
  expect(metrics.task_loss).toBeLessThan(0.1);
  expect(metrics[metric]).toBeGreaterThan(0.9);
  expect(metrics).not.toHaveProperty("language_model_loss");
  const config = JSON.parse(readFileSync(join(model ?? "", "config.json"), "utf8")) as Record<string, unknown>;
  expect(config.architectures).toEqual(architectures);
  const { tokenizer, template } = await openTrainedSolver(model ?? "", backend);
  const framed = template.frame(tokenizer.encode("red"), tokenizer.encode("blue"));
  expect(tokenizer.decode(framed.ids)).toBe("[CLS] red [SEP] blue [SEP]");
  expect([...framed.typeIds]).toEqual([0, 0, 0, 1, 1]);
});

test("stopped in the middle and resumed, it ends with the same weights", async () => {
  const settings = { task: "classification", data: [at("colours.jsonl")], steps: 12, headDropout: 0.1 };
  await run({ ...settings, output: at("whole") });
  const output = at("resumed");
  await run({ ...settings, output, saveEvery: 5, saveTotalLimit: 0 });
  rmSync(join(output, "final"), { recursive: true });
  for (const later of ["checkpoint-10", "checkpoint-12"]) rmSync(join(output, later), { recursive: true });
  await run({ ...settings, output, resume: true });
  expect(weightsOf(join(output, "final")).equals(weightsOf(at("whole/final")))).toBe(true);
});

test.each(["gpt2", "llama"])(
  "adapters of %s are resumed bit for bit, merged in the folder, and written as PEFT's",
  async (family) => {
    const settings = { task: "classification", data: [at("colours.jsonl")], model: at(family), steps: 30, loraRank: 2 };
    const given = { ...settings, loraTargets: "all", learningRate: 2e-2, saveEvery: 12, saveTotalLimit: 0 };
    const { metrics, model } = await run({ ...given, output: at(`lora-${family}`) });
    expect(metrics.task_loss).toBeLessThan(0.5);
    // The folder has no adapters: what they changed is in its matrices.
    const checked = finetune.settings.parse({
      threads: 1,
      ...common,
      ...settings,
      loraRank: 0,
      model,
      steps: 0,
      output: at(`lora-check-${family}`),
    });
    const again = await runStage(finetune, checked);
    expect(again.metrics.eval_loss).toBeCloseTo(metrics.eval_loss ?? 0, 4);
    const output = at(`lora-resumed-${family}`);
    await run({ ...given, output });
    rmSync(join(output, "final"), { recursive: true });
    for (const later of ["checkpoint-24", "checkpoint-30"]) rmSync(join(output, later), { recursive: true });
    await run({ ...given, output, resume: true });
    expect(weightsOf(join(output, "final")).equals(weightsOf(model ?? ""))).toBe(true);
    const adapter = await openSafetensors(join(at(`lora-${family}`), "adapter", "adapter_model.safetensors"));
    const attention = family === "gpt2" ? "transformer.h.0.attn.c_attn" : "model.layers.0.self_attn.k_proj";
    expect(adapter.info(`base_model.model.${attention}.lora_A.weight`).shape).toEqual([2, 16]);
    expect(adapter.info(`base_model.model.${attention}.lora_B.weight`).shape).toEqual([family === "gpt2" ? 48 : 8, 2]);
    expect(adapter.info("base_model.model.score.weight").shape).toEqual([2, 16]);
    await adapter.close();
    const config = JSON.parse(
      readFileSync(join(at(`lora-${family}`), "adapter", "adapter_config.json"), "utf8"),
    ) as object;
    expect(config).toMatchObject({ peft_type: "LORA", r: 2, task_type: "SEQ_CLS", fan_in_fan_out: family === "gpt2" });
  },
);

test.each(["gpt1", "gpt2", "llama", "mixtral"])("%s: the base with the adapter is the final model", async (family) => {
  const given = { task: "classification", data: [at("colours.jsonl")], model: at(family), steps: 3, loraRank: 2 };
  const { model } = await run({ ...given, loraTargets: "all", learningRate: 3e-2, output: at(`peft-${family}`) });
  const [base, adapter, final] = await Promise.all([
    tensorsOf(join(at(family), "model.safetensors")),
    tensorsOf(join(at(`peft-${family}`), "adapter", "adapter_model.safetensors")),
    tensorsOf(join(model ?? "", "model.safetensors")),
  ]);
  const { alpha, transposed } = adapterConfig(join(at(`peft-${family}`), "adapter"));
  for (const [name, values] of final) {
    const own = `base_model.model.${name}`;
    const whole = adapter.get(own) ?? base.get(name) ?? [];
    const [a, b] = ["A", "B"].map((part) => adapter.get(own.replace(/weight$/, `lora_${part}.weight`)));
    const sum = a && b ? withChange(whole, a, b, { rank: 2, scale: alpha / 2, transposed }) : whole;
    expect(values.length, name).toBe(sum.length);
    expect(Math.max(...values.map((value, i) => Math.abs(value - (sum[i] ?? Number.NaN)))), name).toBeLessThan(1e-5);
  }
});

async function tensorsOf(path: string): Promise<Map<string, readonly number[]>> {
  const file = await openSafetensors(path);
  const entries = file.names().map(async (name) => [name, [...(await file.read(name))]] as const);
  const tensors = new Map(await Promise.all(entries));
  await file.close();
  return tensors;
}

function adapterConfig(folder: string): { alpha: number; transposed: boolean } {
  const config = JSON.parse(readFileSync(join(folder, "adapter_config.json"), "utf8")) as Record<string, unknown>;
  return { alpha: Number(config.lora_alpha), transposed: Boolean(config.fan_in_fan_out) };
}

/** W + s B A, or its transpose. */
function withChange(
  weight: readonly number[],
  a: readonly number[],
  b: readonly number[],
  { rank, scale, transposed }: { rank: number; scale: number; transposed: boolean },
): number[] {
  const [inputs, outputs] = [a.length / rank, b.length / rank];
  return weight.map((value, i) => {
    const row = transposed ? i % outputs : Math.floor(i / inputs);
    const column = transposed ? Math.floor(i / outputs) : i % inputs;
    const products = Array.from({ length: rank }, (_, r) => (b[row * rank + r] ?? 0) * (a[r * inputs + column] ?? 0));
    return value + scale * products.reduce((x, y) => x + y, 0);
  });
}

test("early stopping ends with the best model", async () => {
  const settings = { task: "classification", data: [at("colours.jsonl")], steps: 200, evaluateEvery: 5, patience: 2 };
  const { step, notes, model } = await run({ ...settings, output: at("early") });
  expect(step).toBeLessThan(200);
  expect(notes.join("\n")).toMatch(/stopped after \d+ steps: 2 evaluations without a better eval_accuracy/);
  expect(weightsOf(model ?? "").equals(weightsOf(at("early/best")))).toBe(true);
  expect(readdirSync(at("early"))).toContain("report.json");
});

test.each(["gpt2", "lstm"])("a frozen %s stays as it was, all but the extract token", async (family) => {
  const data = [at("colours.jsonl")];
  const settings = { task: "classification", data, steps: 6, freezeBody: true, model: at(family) };
  const { model } = await run({ ...settings, output: at(`frozen-${family}`), saveEvery: 3, saveTotalLimit: 0 });
  const { model: untouched } = await run({ ...settings, steps: 0, output: at(`untrained-${family}`) });
  const [learned, before] = [await valuesOf(model ?? ""), await valuesOf(untouched ?? "")];
  const changed = [...learned.keys()].filter((name) => learned.get(name)?.join() !== before.get(name)?.join());
  expect(changed).toEqual(["tokenEmbedding <|extract|>", "score"]);
  const resumed = at(`frozen-${family}`);
  for (const later of ["final", "checkpoint-6"]) rmSync(join(resumed, later), { recursive: true });
  await run({ ...settings, output: resumed, saveEvery: 3, saveTotalLimit: 0, resume: true });
  expect(await valuesOf(join(resumed, "final"))).toEqual(learned);
});

/** Every parameter of a fine-tuned model; the new tokens' embeddings by themselves. */
async function valuesOf(folder: string): Promise<Map<string, readonly number[]>> {
  const { model, tokenizer } = await openTrainedSolver(folder, backend);
  const values = new Map<string, readonly number[]>();
  for (const [name, parameter] of parameters(model.body)) values.set(name, [...(await parameter.read())]);
  const table = values.get("tokenEmbedding") ?? [];
  const width = table.length / model.body.settings.vocabularySize;
  const { start = "", delimiter = "", extract = "" } = model.description.tokens ?? {};
  for (const token of [start, delimiter, extract]) {
    const id = tokenizer.idOf(token) ?? 0;
    values.set(`tokenEmbedding ${token}`, table.slice(id * width, (id + 1) * width));
  }
  values.set("tokenEmbedding", table.slice(0, (tokenizer.idOf(start) ?? 0) * width));
  for (const parameter of model.head.values()) values.set("score", [...(await parameter.read())]);
  return values;
}

test.each([
  [{ data: [{ text: "a", label: "x" }] }, /line 1: the only row is of one class, "x"/],
  [{ data: [{ txt: "a", label: "x" }] }, /line 1: has no string column "text", it has "txt" \(string\), "label"/],
  [{ data: [{ text: "a" }] }, /has no string column "label"/],
  [{ data: [{ text: " ", label: "x" }] }, /column "text" must be a text that is not empty/],
  [{ data: [{ text: "a", label: "x" }], score: true }, /column "label" must be a number, it is "x"/],
  [
    { task: "multiple-choice", data: [{ context: "a", choices: ["b"], answer: 0 }] },
    /column "choices" must be a list of two texts or more/,
  ],
  [
    { task: "multiple-choice", data: [{ context: "a", choices: ["b", "c"], answer: 2 }] },
    /column "answer" must be one of the 2 answers, or its index from 0 to 1, it is 2/,
  ],
])("refuses %j", async ({ data, ...given }, message) => {
  const path = writeJsonl("bad.jsonl", data);
  const settings = { task: "classification", data: [path], validationShare: 0, output: at("bad") };
  await expect(run({ ...settings, ...given })).rejects.toThrow(message);
});

test("classes are those of all rows, before some are held out", async () => {
  const same = Array.from({ length: 20 }, (_, i) => ({ text: `one ${i}`, label: "x" }));
  const settings = { task: "classification", output: at("bad"), validationShare: 0.5 };
  const one = writeJsonl("one-class.jsonl", same);
  await expect(run({ ...settings, data: [one] })).rejects.toThrow("line 1: all 20 rows are of one class");
  const others = Array.from({ length: 9 }, (_, i) => writeJsonl(`${i}.jsonl`, [{ text: `two ${i}`, label: "y" }]));
  const outcomes = await Promise.allSettled(
    others.map((other, i) => run({ ...settings, data: [one, other], output: at(`rare-${i}`), steps: 0 })),
  );
  const reasons = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [String(outcome.reason)] : []));
  expect(reasons.length).toBeGreaterThan(0);
  for (const reason of reasons) expect(reason).toContain('the rows of class "y" all fall into the share of 0.5');
});

test("a run that nothing will measure says so at its start", async () => {
  const data = [
    writeJsonl("few.jsonl", [
      { text: "a", label: "x" },
      { text: "b", label: "y" },
    ]),
  ];
  const settings = { task: "classification", data, validationShare: 0.001, epochs: 1 };
  const { notes } = await run({ ...settings, output: at("few") });
  expect(notes[0]).toMatch(/^nothing is held out of 2 rows, so that nothing will say how good the model is: give more/);
  await expect(run({ ...settings, output: at("few-patient"), patience: 2 })).rejects.toThrow(
    "patience: none of the 2 rows is held out",
  );
});

test("a class that was not in training is refused in validation", async () => {
  const data = writeJsonl("new.jsonl", [{ text: "a", label: "smell" }]);
  const settings = { task: "classification", data: [at("colours.jsonl")], validation: [data], output: at("bad") };
  await expect(run(settings)).rejects.toThrow(/its class is "smell", the model knows colour, temperature/);
});

test("a model of another task is refused", async () => {
  const settings = { task: "entailment", data: [at("pairs.jsonl")], model: at("class-gpt2/final"), output: at("bad") };
  await expect(run(settings)).rejects.toThrow(/was fine-tuned for classification \(colour, temperature\)/);
});
