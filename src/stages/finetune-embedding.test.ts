import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeSmallEncoder } from "../../test/small-encoder.ts";
import { openReference } from "../backend/reference/index.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { Random } from "../core/random.ts";
import { assistantContents } from "../generate/assistant.ts";
import { embedTexts } from "../generate/embed.ts";
import { openEmbedder } from "../generate/embedder.ts";
import { similarity } from "../generate/similarity.ts";
import type { ModelFamily } from "../models/family.ts";
import { families } from "../models/index.ts";
import { Initializer } from "../nn/parameters.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { finetune } from "./finetune.ts";
import { runStage } from "./run-stage.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-finetune-embedding-"));
const at = (name: string): string => join(root, name);
afterAll(() => rmSync(root, { recursive: true }));

const words = ["heaven", "earth", "god", "void", "form", "beginning", "created", "without"];
const write = (name: string, rows: readonly object[]): void =>
  writeFileSync(at(name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));

beforeAll(async () => {
  await writeSmallEncoder(at("bert"));
  const other = (i: number): string => words[(i + 3) % words.length] ?? "";
  const pairs = words.map((word) => ({ anchor: `the ${word}`, positive: `and ${word} was` }));
  write("pairs.jsonl", pairs);
  write(
    "triplets.jsonl",
    pairs.map((pair, i) => ({ ...pair, negative: `and ${other(i)} was` })),
  );
  const scored = words.flatMap((word, i) => [
    { sentence1: `the ${word}`, sentence2: `and ${word}`, score: 1 },
    { sentence1: `the ${word}`, sentence2: `and ${other(i)}`, score: 0 },
  ]);
  write("scored.jsonl", scored);
});

/** Writes the folder of a new decoder with a tokenizer as `pretrain` trains it. */
async function writeDecoder(name: "gpt2" | "llama"): Promise<void> {
  const tokenizer = trainByteLevelBpe(["the heaven and the earth was ".repeat(20)], {
    vocabularySize: 262,
  }).withSpecialTokens(["<|endoftext|>"], { eos: "<|endoftext|>" });
  const family: ModelFamily = families[name];
  const shape = { vocabularySize: tokenizer.vocabularySize, context: 64, width: 16, layers: 1, heads: 2, dropout: 0 };
  const model = family.create(family.shaped(shape), new Initializer(openReference(), new Random(1)));
  await writeModelFolder(at(name), assistantContents({ model, family, encoder: new ChatEncoder(tokenizer, null) }));
}

async function run(output: string, given: object): Promise<string> {
  const notes: string[] = [];
  const settings = {
    ...{ task: "embedding", model: at("bert"), data: [at("pairs.jsonl")], validation: [at("pairs.jsonl")] },
    ...{ output: at(output), threads: 1, batchSize: 8, learningRate: 3e-3, steps: 12, ...given },
  };
  await runStage(finetune, finetune.settings.parse(settings), { note: (line) => notes.push(line) });
  return notes.join("\n");
}

const none = new Float32Array(0);

function report(output: string): { before: Record<string, number>; after: Record<string, number> } {
  return JSON.parse(readFileSync(at(`${output}/report.json`), "utf8"));
}

test.each([
  ["pairs", {}, "mrr_10"],
  ["triplets", { data: [], loss: "triplet" }, "triplet_accuracy"],
  ["adapted", { loraRank: 2, loraTargets: "all", learningRate: 0.03, steps: 15 }, "mrr_10"],
  ["scored", { learningRate: 1e-2 }, "spearman"],
])(
  "%s: held-out rows get better, and the folder makes the embeddings that were measured",
  async (name, given, metric) => {
    const rows = name === "adapted" ? "pairs" : name;
    const data = [at(`${rows}.jsonl`)];
    const notes = await run(name, { ...given, data, validation: data });
    const { before, after } = report(name);
    expect(after[metric]).toBeGreaterThan(before[metric] ?? Number.NaN);
    expect(after[metric]).toBeGreaterThan(0.85);
    expect(notes).toContain(`(before: ${before[metric]?.toFixed(4)})`);
    const embedder = await openEmbedder(at(`${name}/final`), openReference());
    expect(embedder.model.modules).toMatchObject({ pooling: ["mean"], normalizes: true });
    const end = name === "scored" ? "" : " was";
    const texts = ["the earth", `and earth${end}`, `and form${end}`];
    const [anchor = none, right = none, wrong = none] = await embedTexts(embedder, texts);
    expect(similarity("cosine", anchor, right)).toBeGreaterThan(similarity("cosine", anchor, wrong));
  },
);

test("prompts of a run are those of its model", async () => {
  await run("prompted", { steps: 1, anchorPrompt: "the ", positivePrompt: "and " });
  const { model } = await openEmbedder(at("prompted/final"), openReference());
  expect(model.modules.prompts).toEqual({ query: "the ", document: "and " });
});

test("a run that goes on ends with the bits of one that never stopped, and keeps what was before", async () => {
  await run("whole", { steps: 6, saveEvery: 3 });
  await run("stopped", { steps: 6, saveEvery: 3, saveTotalLimit: 0 });
  rmSync(at("stopped/final"), { recursive: true });
  rmSync(at("stopped/checkpoint-6"), { recursive: true });
  await run("stopped", { steps: 6, saveEvery: 3, saveTotalLimit: 0, resume: true });
  const bytes = (name: string): Buffer => readFileSync(at(`${name}/final/model.safetensors`));
  expect(bytes("stopped").equals(bytes("whole"))).toBe(true);
  expect(report("stopped")).toEqual(report("whole"));
});

test.each(["gpt2", "llama"] as const)("%s, whose tokenizer has no padding, learns embeddings too", async (name) => {
  await writeDecoder(name);
  const given = { model: at(name), steps: 4, saveEvery: 2 };
  await run(`${name}-whole`, given);
  await run(`${name}-stopped`, { ...given, saveTotalLimit: 0 });
  for (const later of ["final", "checkpoint-4"]) rmSync(at(`${name}-stopped/${later}`), { recursive: true });
  await run(`${name}-stopped`, { ...given, saveTotalLimit: 0, resume: true });
  const bytes = (output: string): Buffer => readFileSync(at(`${output}/final/model.safetensors`));
  expect(bytes(`${name}-stopped`).equals(bytes(`${name}-whole`))).toBe(true);
  const { model, tokenizer } = await openEmbedder(at(`${name}-whole/final`), openReference());
  expect(model.body.model.settings.vocabularySize).toBe(262);
  expect(tokenizer.vocabularySize).toBe(262);
  expect(tokenizer.roles.pad).toBe("<|endoftext|>");
  await run(`${name}-further`, { ...given, model: at(`${name}-whole/final`), steps: 1 });
  expect(report(`${name}-further`).before).toEqual(report(`${name}-whole`).after);
});

test("a signal is heard while rows are encoded", async () => {
  const stop = new AbortController();
  const watcher = { signal: stop.signal, note: (line: string) => line.includes("to learn from") && stop.abort() };
  const settings = { task: "embedding", model: at("bert"), data: [at("pairs.jsonl")], output: at("never"), threads: 1 };
  await expect(runStage(finetune, finetune.settings.parse(settings), watcher)).rejects.toThrow(
    "finetune: stopped before the first step, nothing was to be saved; run it again",
  );
});

test.each([
  [{ loss: "cosent" }, "loss: cosent is not for these rows, which have no scores"],
  [{ loss: "triplet" }, "the rows have 2 texts"],
  [{ margin: 2 }, "margin: is for the loss triplet, not for in-batch"],
  [{ batchSize: 1 }, "batch-size: the loss in-batch compares rows of a batch"],
  [{ freezeBody: true }, "freeze-body: an embedding has no head"],
  [{ score: true }, "score: is for labels of similarity"],
  [{ textColumns: ["anchor"] }, "text-columns: anchor is one column; name the two of a pair"],
  [
    { textColumns: ["anchor", "answer"] },
    'columns "anchor", "positive", which is none of the known layouts: anchor, answer',
  ],
  [{ context: 1000 }, "context: 1000 is more than the 64 tokens"],
  [{ task: "classification", loss: "cosent" }, "loss: is for --task embedding, and this is classification"],
  [{ task: "entailment", textColumns: ["a", "b", "c"] }, "text-columns: a, b, c are 3; this task reads one or two"],
])("%j is refused", async (given, message) => {
  await expect(run("refused", given)).rejects.toThrow(message);
});
