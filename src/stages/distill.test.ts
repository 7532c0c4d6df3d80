import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { Random } from "../core/random.ts";
import { assistantContents } from "../generate/assistant.ts";
import { exportGguf } from "../models/gguf/files.ts";
import { families } from "../models/index.ts";
import { Initializer } from "../nn/parameters.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { distill } from "./distill.ts";
import type { StageResult } from "./run-stage.ts";
import { runStage } from "./run-stage.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-distill-"));
const at = (name: string): string => join(root, name);

async function write(name: string, seed: number, width: number, text: string, extraRows = 0): Promise<void> {
  const tokenizer = trainByteLevelBpe([text.repeat(20)], { vocabularySize: 262 }).withSpecialTokens(["<|end|>"], {
    eos: "<|end|>",
  });
  const vocabularySize = tokenizer.vocabularySize + extraRows;
  const shape = { vocabularySize, context: 16, width, layers: 1, heads: 2, dropout: 0 };
  const settings = { ...families.gpt2.shaped(shape), initializerRange: 0.3 };
  const model = families.gpt2.create(settings, new Initializer(openReference(), new Random(seed)));
  await writeModelFolder(
    at(name),
    assistantContents({ model, family: families.gpt2, encoder: new ChatEncoder(tokenizer, null) }),
  );
}

beforeAll(async () => {
  await write("student", 1, 16, "yes no say it ");
  await write("teacher", 2, 32, "yes no say it ", 5);
  await write("foreign", 3, 16, "other words here ");
  const rows = Array.from({ length: 16 }, (_, i) =>
    JSON.stringify({ prompt: `say ${i}`, completion: i % 2 ? "yes" : "no" }),
  );
  writeFileSync(at("talks.jsonl"), rows.join("\n"));
  writeFileSync(at("text.txt"), "say it, yes or no. ".repeat(60));
});
afterAll(() => rmSync(root, { recursive: true }));

async function run(given: object, signal?: AbortSignal, logged?: (step: number) => void): Promise<StageResult> {
  const common = { matmulPrecision: "float32", threads: 1, model: at("student"), teacher: at("teacher") };
  const training = { batchSize: 4, learningRate: 1e-2, schedule: "constant", steps: 12, validationShare: 0.3 };
  const settings = distill.settings.parse({ ...common, ...training, ...given });
  return runStage(distill, settings, { ...(signal && { signal }), ...(logged && { logged }) });
}

test.each(["forward", "reverse", "jsd"])(
  "a student comes nearer to its teacher by the %s divergence",
  async (divergence) => {
    const given = { data: [at("talks.jsonl")], divergence };
    const before = await run({ ...given, steps: 0, output: at(`${divergence}-0`) });
    const after = await run({ ...given, output: at(divergence) });
    expect(after.metrics.eval_loss).toBeLessThan(0.7 * (before.metrics.eval_loss ?? 0));
    const weights = (folder: string): Buffer => readFileSync(join(at(folder), "model.safetensors"));
    expect(weights(`${divergence}/final`).equals(weights("student"))).toBe(false);
  },
);

test("a student that is its teacher has nothing to learn", async () => {
  const same = { model: at("teacher"), data: [at("talks.jsonl")], steps: 0, output: at("same") };
  expect((await run(same)).metrics.eval_loss).toBeCloseTo(0, 5);
});

test("on text, with a part of the ordinary loss, and resumed bit for bit", async () => {
  const given = { text: [at("text.txt")], dataWeight: 0.25, temperature: 2, context: 12, steps: 4, saveEvery: 2 };
  const { metrics } = await run({ ...given, output: at("text") });
  const { loss = 0, distillation_loss: learned = 0, next_token_loss: predicted = 0 } = metrics;
  expect(loss).toBeCloseTo(0.75 * learned + 0.25 * predicted, 4);
  const stop = new AbortController();
  await run({ ...given, output: at("cut") }, stop.signal, (step) => {
    if (step === 2) stop.abort();
  });
  await run({ ...given, output: at("cut"), resume: true });
  const final = (name: string): Buffer => readFileSync(join(at(name), "final/model.safetensors"));
  expect(final("cut").equals(final("text"))).toBe(true);
});

test("a teacher in a GGUF file, which lists the same tokens in its own order, teaches what its folder does", async () => {
  await exportGguf(at("teacher"), at("teacher.gguf"), "F32");
  const given = { data: [at("talks.jsonl")], steps: 2 };
  const { metrics } = await run({ ...given, output: at("from-gguf"), teacher: at("teacher.gguf") });
  expect(metrics).toMatchObject({ loss: (await run({ ...given, output: at("from-folder") })).metrics.loss });
});

test("another tokenizer, and no or two kinds of data, are refused", async () => {
  const output = at("refused");
  await expect(run({ data: [at("talks.jsonl")], teacher: at("foreign"), output })).rejects.toThrow(
    /^teacher .*foreign: has another tokenizer than the student \(token 256 is ".+", and ".+" there\)/,
  );
  await expect(run({ output })).rejects.toThrow("data, text: neither is given");
  await expect(run({ data: [at("talks.jsonl")], text: [at("text.txt")], output })).rejects.toThrow("both are given");
});
