import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pretrain, runStage } from "../src/index.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-examples-"));
const model = join(root, "run", "final");
const folder = new URL("../examples/", import.meta.url);

beforeAll(async () => {
  const data = join(root, "text.txt");
  writeFileSync(data, "In the beginning was the word.\nAnd he said, the word was good.\n".repeat(40));
  const shape = { layers: 1, heads: 2, width: 32, context: 48, batchSize: 8, learningRate: 5e-3 };
  const settings = { data: [data], tokenizer: "bpe-300", steps: 40, output: join(root, "run"), ...shape };
  await runStage(pretrain, pretrain.settings.parse(settings));
}, 60_000);
afterAll(() => rmSync(root, { recursive: true }));

async function run(name: string, ...args: string[]): Promise<string> {
  const script = new URL(`${name}.ts`, folder).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", script, ...args]);
  return stdout;
}

test("every example is short", () => {
  for (const name of readdirSync(folder)) {
    const lines = readFileSync(new URL(name, folder), "utf8").split("\n").length;
    expect(lines, name).toBeLessThan(60);
  }
});

test("train from a string: the model learns it by heart", async () => {
  expect(await run("train-from-string")).toContain("\nthe quick brown fox jumps over the lazy dog.");
}, 60_000);

test("resume: the weights are those of a run that never stopped", async () => {
  const printed = await run("resume");
  expect(printed).toContain("stopped after step 12, interrupted: true");
  expect(printed).toContain("same weights as a run that never stopped: true");
}, 60_000);

test("own stage: a run like any, whose loss falls", async () => {
  const output = join(root, "focal");
  const printed = await run("own-stage", model, join(root, "text.txt"), output);
  const losses = [...printed.matchAll(/focal loss ([\d.]+)/g)].map(([, loss]) => Number(loss));
  expect(losses.length).toBe(10);
  expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
  expect(printed).toMatch(/next-token loss \d\.\d{3}, model in/);
  expect(readdirSync(output)).toEqual(expect.arrayContaining(["final", "metrics.jsonl", "settings.json"]));
}, 60_000);

test("stream: three texts, each with why it ended", async () => {
  const lines = (await run("stream", model)).trimEnd().split("\n");
  expect(lines.map((line) => line.replace(/^(stop|length): /, "").slice(0, 3)).sort()).toEqual(["And", "In ", "The"]);
}, 60_000);

test("write an op: its values and gradient are right", async () => {
  const printed = await run("write-an-op");
  expect(printed).toContain("softplus 0.0000 0.3133 0.6931 1.3133 30.0000");
  expect(printed).toContain("gradient is right");
}, 60_000);

test("load a GPT-2 folder: loss and five tokens", async () => {
  const printed = await run("load-gpt2", model, "In the beginning was the");
  expect(printed).toMatch(/loss \d\.\d{3} nats a token/);
  expect(printed.match(/^ *[\d.]+ % {2}"/gm)).toHaveLength(5);
}, 60_000);
