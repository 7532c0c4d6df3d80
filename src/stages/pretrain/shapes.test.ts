import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { StageResult } from "../run-stage.ts";
import { runStage } from "../run-stage.ts";
import { pretrain } from "./index.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-shapes-"));
afterAll(() => rmSync(root, { recursive: true }));

const words = [
  "the cat",
  "a dog",
  "one bird",
  "my fish",
  "sat on",
  "ran from",
  "looked at",
  "slept near",
  "a mat",
  "a log",
];
const sentence = (i: number): string => `${words[i % 4]} ${words[4 + ((i * 3) % 4)]} ${words[8 + (i % 2)]}.`;
const text = join(root, "text.txt");
writeFileSync(text, Array.from({ length: 300 }, (_, i) => sentence(i)).join(" "));

const tiny = { layers: 1, heads: 2, width: 32, context: 32, batchSize: 8, learningRate: 5e-3, sampleTokens: 8 };
let runs = 0;

/** Runs the stage as the command line does. */
async function run(given: object, output = join(root, `run-${runs++}`)): Promise<StageResult> {
  const settings = pretrain.settings.parse({ data: [text], steps: 40, output, ...tiny, ...given });
  return runStage(pretrain, settings, { note: () => undefined });
}

const shapes = [
  ["bert", "wordpiece-150", { wholeWords: true }],
  ["bert", "bpe-300", { nextSentence: false }],
  ["t5", "bpe-300", {}],
] as const;

describe.each(shapes)("%s with %s", (model, tokenizer, given) => {
  test("learns, and its folder goes on", async () => {
    const first = await run({ model, tokenizer, ...given });
    const untrained = await run({ model, tokenizer, ...given, steps: 0 });
    expect(first.metrics.eval_loss).toBeLessThan((untrained.metrics.eval_loss ?? 0) - 0.5);
    const again = await run({
      ...{ model: first.model, layers: undefined, heads: undefined, width: undefined },
      ...given,
      steps: 0,
    });
    expect(again.metrics.eval_loss).toBeCloseTo(first.metrics.eval_loss ?? 0, 4);
    const config = JSON.parse(readFileSync(join(first.model ?? "", "config.json"), "utf8"));
    expect(config.model_type).toBe(model);
  }, 60_000);

  test("a run that was stopped goes on with the same bits", async () => {
    const settings = { model, tokenizer, ...given, steps: 6, saveEvery: 3, dropout: 0.1 };
    const whole = await run(settings);
    const output = join(root, `run-${runs++}`);
    const stop = new AbortController();
    const parsed = pretrain.settings.parse({ data: [text], ...tiny, ...settings, output });
    const logged = (step: number): void => (step === 4 ? stop.abort() : undefined);
    const stopped = await runStage(pretrain, parsed, { note: () => undefined, signal: stop.signal, logged });
    expect(stopped).toMatchObject({ interrupted: true, step: 4 });
    const rest = await run({ ...settings, resume: true }, output);
    const weights = ({ model: folder }: StageResult): Buffer => readFileSync(join(folder ?? "", "model.safetensors"));
    expect(weights(rest).equals(weights(whole))).toBe(true);
  }, 60_000);
});

test("samples fill in what is masked, and write what was taken out", async () => {
  const sampled = async (given: object): Promise<{ prompt: string; text: string }> => {
    const output = join(root, `run-${runs++}`);
    await run({ ...given, steps: 1 }, output);
    const line = readFileSync(join(output, "samples.jsonl"), "utf8").trim().split("\n").at(-1) ?? "";
    return JSON.parse(line);
  };
  const filled = await sampled({ model: "bert", tokenizer: "wordpiece-150", prompts: ["the cat [MASK] on a mat."] });
  expect(filled.prompt).toContain("[MASK]");
  expect(filled.text).not.toContain("[MASK]");
  expect(filled.text).toContain("the cat");
  const held = await sampled({ model: "bert", tokenizer: "wordpiece-150" });
  expect(held.prompt).toContain("[MASK]");
  const written = await sampled({ model: "t5", tokenizer: "bpe-300" });
  expect(written.prompt).toContain("<extra_id_0>");
});

test("what does not fit is refused", async () => {
  await expect(run({ model: "bort" })).rejects.toThrow(/no family and no folder called bort; did you mean bert\?/);
  await expect(run({ model: "bert", objective: "prefix" })).rejects.toThrow(
    "objective: is for decoders, this is a bert; leave it out",
  );
  await expect(run({ model: "t5", tokenizer: "bpe-300", context: 3000 })).rejects.toThrow(/tokens to train on/);
  const { model } = await run({ model: "t5", tokenizer: "bpe-300", steps: 0 });
  await expect(run({ model, layers: 3 })).rejects.toThrow(/layers: 3 is asked for, .* has 1; leave --layers out/);
});
