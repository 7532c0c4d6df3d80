import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { openGguf } from "../../src/checkpoint/gguf.ts";
import { writeModelFolder } from "../../src/checkpoint/model-folder.ts";
import type { WritableTensor } from "../../src/checkpoint/tensor-source.ts";
import { exportModel } from "../../src/cli/export.ts";
import { generate } from "../../src/cli/generate.ts";
import { predict } from "../../src/cli/predict.ts";
import { score } from "../../src/cli/score.ts";
import { Random } from "../../src/core/random.ts";
import type { JsonObject } from "../../src/files/json.ts";
import { bert } from "../../src/models/bert-families.ts";
import { storedTensors } from "../../src/models/read-model.ts";
import { Initializer } from "../../src/nn/parameters.ts";
import { finetune } from "../../src/stages/finetune.ts";
import { pretrain } from "../../src/stages/pretrain/index.ts";
import type { StageResult } from "../../src/stages/run-stage.ts";
import { runStage } from "../../src/stages/run-stage.ts";
import type { Stage } from "../../src/stages/stage.ts";
import { runCommand } from "../run-command.ts";

/**
 * A folder of BERT as the first ones were saved, with `gamma`, `beta` and `vocab.txt`, and as BertForMaskedLM saves it,
 * without pooler and next-sentence head: every command takes it, or says why not.
 */
const root = mkdtempSync(join(tmpdir(), "stemma-bert-"));
const at = (name: string): string => join(root, name);
afterAll(() => rmSync(root, { recursive: true }));

const words = ["red", "green", "blue", "cold", "warm", "the", "one", "is"];
const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words, "."];

beforeAll(async () => {
  const shape = { vocabularySize: vocabulary.length, context: 24, width: 16, layers: 1, heads: 2, dropout: 0 };
  const settings = { ...bert.shaped(shape), initializerRange: 0.5 };
  const model = bert.create(settings, new Initializer(openReference(), new Random(1)));
  const config = bert.writeConfig(settings, { endOfText: null }) as JsonObject;
  const old = ({ name, ...tensor }: WritableTensor): WritableTensor => ({
    ...tensor,
    name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"),
  });
  const all = storedTensors(bert, model).map(old);
  const extraFiles = {
    "vocab.txt": `${vocabulary.join("\n")}\n`,
    "tokenizer_config.json": JSON.stringify({ tokenizer_class: "BertTokenizer", do_lower_case: true }),
  };
  await writeModelFolder(at("whole"), { config, tensors: all, extraFiles });
  const masked = all.filter(({ name }) => !/pooler|seq_relationship/.test(name));
  const body = masked.filter(({ name }) => !name.startsWith("cls."));
  await writeModelFolder(at("masked"), { config, tensors: masked, extraFiles });
  await writeModelFolder(at("body"), { config, tensors: body, extraFiles });
  const rows = Array.from({ length: 24 }, (_, i) => ({
    text: `the ${words[i % 5]} one is ${words[(i + 1) % 5]}`,
    label: i % 5 < 3 ? "colour" : "heat",
  }));
  writeFileSync(at("rows.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  writeFileSync(at("text.txt"), `${rows.map(({ text }) => text).join(". ")}.`.repeat(12));
});

async function run(stage: unknown, given: object): Promise<StageResult & { notes: string }> {
  const notes: string[] = [];
  const { settings } = stage as Stage;
  const parsed = settings.parse({ threads: 1, learningRate: 1e-2, batchSize: 8, ...given });
  const result = await runStage(stage as Stage, parsed, { note: (line) => void notes.push(line) });
  return { ...result, notes: notes.join("\n") };
}

test("generate fills in masks as with all heads, and says which head it misses", async () => {
  const asked = { prompt: ["the [MASK] one is [MASK] ."] };
  const whole = await runCommand(generate, { ...asked, model: at("whole") });
  const masked = await runCommand(generate, { ...asked, model: at("masked") });
  expect(masked.shown).toBe(whole.shown.replace(/[\d.]+ s.*/, masked.shown.match(/[\d.]+ s.*/)?.[0] ?? ""));
  await expect(runCommand(generate, { ...asked, model: at("body") })).rejects.toThrow(
    /body: has no head that names masked words \(cls\.predictions\..*\); stemma embed makes vectors with it; .* take a folder of BertForMaskedLM/,
  );
});

test("finetune makes the pooler that is missing, learns, and predict asks the result", async () => {
  const settings = { task: "classification", data: [at("rows.jsonl")], validationShare: 0.25, steps: 40 };
  for (const name of ["masked", "body"]) {
    const tuned = await run(finetune, { ...settings, model: at(name), output: at(`tuned-${name}`) });
    expect(tuned.notes).toContain(`${at(name)}: has no pooler`);
    expect(tuned.metrics.loss).toBeLessThan(0.5);
    const asked = { model: tuned.model ?? "", data: [at("rows.jsonl")], output: at(`${name}.jsonl`), threads: 1 };
    await runCommand(predict, asked);
    expect(
      readFileSync(at(`${name}.jsonl`), "utf8")
        .trim()
        .split("\n"),
    ).toHaveLength(24);
  }
  const whole = await run(finetune, { ...settings, steps: 1, model: at("whole"), output: at("tuned-whole") });
  expect(whole.notes).not.toContain("pooler");
});

test("pretrain goes on, and makes the heads that are missing", async () => {
  const settings = { data: [at("text.txt")], context: 24, steps: 2, sampleEvery: 0 };
  for (const [name, missing] of [
    ["masked", "bert.pooler, cls.seq_relationship"],
    ["body", "bert.pooler, cls.predictions, cls.seq_relationship"],
  ] as const) {
    const more = await run(pretrain, { ...settings, model: at(name), output: at(`more-${name}`) });
    expect(more.notes).toContain(`has no ${missing}; what is missing starts from random numbers`);
    const { shown } = await runCommand(generate, { model: more.model ?? "", prompt: ["the [MASK] one"] });
    expect(shown).toMatch(/^the \S+ one/);
  }
});

test("score says that it is no decoder; the export for llama.cpp takes its body, and safetensors copy it", async () => {
  await expect(runCommand(score, { model: at("masked"), text: "red" })).rejects.toThrow(
    /config\.json has model_type "bert", which is another shape of model .*; this is for decoders/,
  );
  await runCommand(exportModel, { model: at("masked"), output: at("masked.gguf"), quantization: "f32" });
  const file = await openGguf(at("masked.gguf"));
  const written = file.names();
  await file.close();
  expect(written).toContain("blk.0.attn_q.weight");
  expect(written.filter((name) => /cls|output\.weight$/.test(name))).toEqual(["blk.0.attn_output.weight"]);
  const copy = { model: at("masked"), format: "safetensors", output: at("copy"), quantization: "f32" };
  await runCommand(exportModel, copy);
  const weights = (name: string): Buffer => readFileSync(join(at(name), "model.safetensors"));
  expect(weights("copy").equals(weights("masked"))).toBe(true);
});
