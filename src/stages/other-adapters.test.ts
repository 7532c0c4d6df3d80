import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { openReference } from "../backend/reference/index.ts";
import { bert } from "../models/bert-families.ts";
import { loadModelOf } from "../models/load.ts";
import { loadTextToText } from "../models/load-text-to-text.ts";
import { mergeAdapters } from "../models/merge-adapters.ts";
import { Tensor } from "../tensor/tensor.ts";
import { finetune } from "./finetune.ts";
import { openTrainedSolver } from "./finetune-model.ts";
import { pretrain } from "./pretrain/index.ts";
import type { StageResult } from "./run-stage.ts";
import { runStage } from "./run-stage.ts";
import { seq2seq } from "./seq2seq.ts";
import type { Stage } from "./stage.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-other-adapters-"));
const at = (name: string): string => join(root, name);
const backend = openReference();

async function run(stage: unknown, given: { readonly output: string }, notes: string[] = []): Promise<StageResult> {
  const { settings } = stage as Stage;
  const parsed = settings.parse({ matmulPrecision: "float32", threads: 1, ...given, output: at(given.output) });
  return runStage(stage as Stage, parsed, { note: (line) => void notes.push(line) });
}

const letters = [..."abcdefgh"];
const tiny = { layers: 1, heads: 2, width: 32, context: 32, batchSize: 4 };
const pairs = { data: [at("pairs.jsonl")], scoredRows: 2, maxNewTokens: 3 };
const text = { data: [at("text.txt")], sampleTokens: 2 };
const classes = { task: "classification", data: [at("classes.jsonl")], validationShare: 0.2 };

beforeAll(async () => {
  const rows = letters.flatMap((a) => letters.map((b) => ({ source: `${a} ${b}`, target: `${b}${a}` })));
  const jsonl = (some: readonly object[]): string => some.map((row) => `${JSON.stringify(row)}\n`).join("");
  writeFileSync(at("pairs.jsonl"), jsonl(rows));
  writeFileSync(
    at("text.txt"),
    rows
      .map(({ source, target }) => `${source} is ${target}.`)
      .join(" ")
      .repeat(4),
  );
  writeFileSync(
    at("classes.jsonl"),
    jsonl(rows.slice(0, 20).map(({ source }, i) => ({ text: source, label: i % 2 === 0 ? "even" : "odd" }))),
  );
  const fresh = { ...tiny, steps: 1 };
  await run(seq2seq, {
    ...pairs,
    ...fresh,
    model: "transformer",
    tokenizer: "characters",
    output: "transformer",
  } as never);
  for (const [model, tokenizer] of [
    ["t5", "bpe-300"],
    ["bert", "wordpiece-100"],
  ] as const) {
    await run(pretrain, { ...text, ...fresh, model, tokenizer, output: model } as never);
  }
});
afterAll(() => rmSync(root, { recursive: true }));

const adapters = { loraRank: 2, loraTargets: "all", learningRate: 1e-2, loraDropout: 0.1 };
const common = { ...adapters, steps: 4, saveEvery: 2, saveTotalLimit: 0, batchSize: 4, warmupSteps: 0 };
const stages: readonly (readonly [string, string, unknown, object])[] = [
  ["seq2seq", "transformer", seq2seq, pairs],
  ["seq2seq", "t5", seq2seq, { ...pairs, recompute: true }],
  ["pretrain", "t5", pretrain, { ...text, context: 16 }],
  ["pretrain", "bert", pretrain, { ...text, context: 16 }],
  ["finetune", "bert", finetune, classes],
];

/** What a folder says of a few tokens, with adapters added. */
async function logitsOf(base: string, folder: string, added: readonly string[], weights: "float32" | "q8_0") {
  const ids = (): Tensor => Tensor.from(backend, Int32Array.of(5, 6, 7), [1, 3]);
  if (base === "bert") {
    const model = await loadModelOf(bert, folder, backend, { adapters: added, weights });
    return model.logits(model.forward(ids())).floats();
  }
  const { model } = await loadTextToText(folder, backend, { adapters: added, weights });
  return model.logits(model.decode(ids(), model.encode(ids(), null))).floats();
}

const close = { absolute: 1e-5, relative: 1e-5 };

const cases = stages.flatMap(([...stage]) =>
  [undefined, "q8_0" as const].map((weights) => [...stage, weights] as const),
);

test.each(cases)("%s of a %s with adapters is resumed bit for bit", async (name, base, stage, own, weights) => {
  const before = readFileSync(at(`${base}/final/model.safetensors`));
  const given = { ...common, ...own, model: at(`${base}/final`), weights };
  const output = `${name}-${base}-${weights}`;
  const resumed = `${output}-resumed`;
  await run(stage, { ...given, output });
  await run(stage, { ...given, output: resumed });
  for (const gone of ["final", "checkpoint-4"]) rmSync(at(`${resumed}/${gone}`), { recursive: true });
  await run(stage, { ...given, output: resumed, resume: true } as never);
  const weightsFile = weights ? "final/adapter_model.safetensors" : "final/model.safetensors";
  for (const file of [weightsFile, "final/config.json", "checkpoint-4/optimizer.safetensors"]) {
    expect(readFileSync(at(`${resumed}/${file}`)).equals(readFileSync(at(`${output}/${file}`))), file).toBe(true);
  }
  expect(existsSync(at(`${output}/final/model.safetensors`))).toBe(weights === undefined);
  expect(readFileSync(at(`${base}/final/model.safetensors`)).equals(before)).toBe(true);
  const adapter = at(weights ? `${output}/final` : `${output}/adapter`);
  const config = JSON.parse(readFileSync(join(adapter, "adapter_config.json"), "utf8"));
  expect(config.task_type).toBe(name === "finetune" ? "SEQ_CLS" : taskOf(base));
  if (name !== "finetune") await expectLearned(base, at(`${output}/final`), adapter, weights ?? "float32");
});

function taskOf(base: string): string | null {
  return base === "bert" ? null : "SEQ_2_SEQ_LM";
}

/** The final model is the base with the adapter, and no longer the base. */
async function expectLearned(base: string, final: string, adapter: string, weights: "float32" | "q8_0"): Promise<void> {
  const learned = await logitsOf(base, final, [], weights);
  expectClose(await logitsOf(base, at(`${base}/final`), [adapter], weights), learned, close);
  const untouched = await logitsOf(base, at(`${base}/final`), [], weights);
  expect(Math.max(...learned.map((value, i) => Math.abs(value - (untouched[i] ?? 0))))).toBeGreaterThan(1e-3);
}

test("adapters of encoders and encoder-decoders are merged", async () => {
  for (const [base, run, what] of [
    ["t5", "seq2seq-t5-q8_0", "t5"],
    ["bert", "pretrain-bert-q8_0", "bert"],
  ] as const) {
    await mergeAdapters(at(`${run}/final`), [], at(`${what}-merged`), backend, { dtype: "F32" });
    const merged = await logitsOf(base, at(`${what}-merged`), [], "float32");
    expectClose(merged, await logitsOf(base, at(`${base}/final`), [at(`${run}/final`)], "float32"), close);
  }
});

test("a classifier on blocks opens from what it left", async () => {
  const solver = await openTrainedSolver(at("finetune-bert-q8_0/final"), backend);
  expect(solver.model.description.labels).toEqual(["even", "odd"]);
});

test("what is new has nothing to adapt", async () => {
  const given = { ...common, ...pairs, model: "t5", output: "refused" };
  await expect(run(seq2seq, given)).rejects.toThrow(
    "lora-rank: a new t5 has learned nothing that adapters could change",
  );
  await expect(
    run(seq2seq, {
      ...given,
      loraRank: 0,
      loraTargets: "attention",
      loraAlpha: 16,
      loraDropout: 0,
      adapter: ["some"],
    } as never),
  ).rejects.toThrow("adapter: a new t5");
});
