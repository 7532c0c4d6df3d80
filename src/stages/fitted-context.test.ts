import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { Random } from "../core/random.ts";
import { assistantContents } from "../generate/assistant.ts";
import { gpt2 } from "../models/gpt-families.ts";
import { Initializer, parameterCount } from "../nn/parameters.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { dpo } from "./dpo.ts";
import { finetune } from "./finetune.ts";
import { stepBytes } from "./plan/fit.ts";
import { plannedModel } from "./plan/plan-models.ts";
import { plainRun } from "./plan/prepared-step.ts";
import { reward } from "./reward.ts";
import { runStage } from "./run-stage.ts";
import { sft } from "./sft.ts";
import type { Stage } from "./stage.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-fitted-"));
const at = (name: string): string => join(root, name);
const shape = { vocabularySize: 258, context: 512, width: 16, layers: 1, heads: 2, dropout: 0 };
const settings = gpt2.shaped(shape);
const rows = 12;
/** Bytes, each one token, of the long answer among short ones. */
const long = 300;
let loaded = 0;

beforeAll(async () => {
  const tokenizer = trainByteLevelBpe(["a"], { vocabularySize: 257 }).withSpecialTokens(["<|endoftext|>"], {
    eos: "<|endoftext|>",
  });
  const model = gpt2.create(settings, new Initializer(openReference(), new Random(1)));
  loaded = 4 * parameterCount(model);
  await writeModelFolder(
    at("base"),
    assistantContents({ model, family: gpt2, encoder: new ChatEncoder(tokenizer, null) }),
  );
  const write = (name: string, row: (i: number, answer: string) => object): void => {
    const lines = Array.from({ length: rows }, (_, i) => row(i, i === 3 ? "b".repeat(long) : "bc"));
    writeFileSync(at(name), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  };
  write("talks.jsonl", (i, completion) => ({ prompt: `q${i}`, completion }));
  write("pairs.jsonl", (i, chosen) => ({ prompt: `q${i}`, chosen, rejected: "d" }));
  write("classes.jsonl", (i, text) => ({ text: `${i}${text}`, label: i % 2 ? "odd" : "even" }));
});
afterAll(() => rmSync(root, { recursive: true }));
afterEach(() => void vi.unstubAllEnvs());

/** Lets a step of so many tokens a row fit, and no more. */
async function leaveRoomFor(stage: "sft" | "dpo" | "reward" | "finetune", context: number, batchSize: number) {
  const bytes = await stepBytes(plannedModel("gpt2", gpt2, settings), plainRun(stage, batchSize, context));
  vi.stubEnv("STEMMA_BACKEND", "reference"); // what the native one has pooled is left too
  vi.stubEnv("STEMMA_MEMORY", `${(bytes - loaded) / 1000}kB`);
}

async function run(stage: Stage, given: object): Promise<{ notes: string; context: unknown }> {
  const notes: string[] = [];
  const common = { model: at("base"), matmulPrecision: "float32", threads: 1, steps: 1, batchSize: 4 };
  const parsed = stage.settings.parse({ ...common, ...given });
  await runStage(stage, parsed, { note: (line) => void notes.push(line) });
  const { output } = given as { output: string };
  const { resolved } = JSON.parse(readFileSync(join(output, "settings.json"), "utf8"));
  return { notes: notes.join("\n"), context: resolved.context };
}

test.each([
  [
    "sft",
    sft,
    { data: [at("talks.jsonl")], chatTemplate: "none", packing: false, validationShare: 0 },
    "left out 1 of 12 conversations",
  ],
  ["dpo", dpo, { data: [at("pairs.jsonl")], validationShare: 0.1 }, "left out 1 of 12 pairs"],
  ["reward", reward, { data: [at("pairs.jsonl")], validationShare: 0.1 }, "left out 1 of 12 rankings"],
  ["finetune", finetune, { data: [at("classes.jsonl")], task: "classification" }, "cut the ends of 1 of"],
  [
    "finetune",
    finetune,
    { data: [at("pairs.jsonl")], task: "embedding", textColumns: ["prompt", "chosen"], batchSize: 2 },
    "cut the ends of 1 of",
  ],
] as const)(
  "%s takes the longest context that fits, and says which rows that costs",
  async (name, stage, given, fate) => {
    await leaveRoomFor(name, 140, 4);
    const folder = at("task" in given ? given.task : name);
    const { notes, context } = await run(stage, { ...given, output: `${folder}-fitted` });
    expect(context).toBe(128);
    expect(notes).toMatch(
      new RegExp(`${name}: a step of 4 × \\d+ tokens takes .* memory .*rows have 128 tokens at most`),
    );
    expect(notes).toMatch(
      new RegExp(
        `${fate}.*: longer than the context of 128 tokens; the longest has 3\\d\\d; --context 3\\d\\d keeps them whole`,
      ),
    );
    const asked = run(stage, { ...given, context: 320, output: `${folder}-asked` });
    await expect(asked).rejects.toThrow(/a step of 4 × 3\d\d tokens takes/);
  },
);

test("where not even short rows fit the stage is refused, and where all fit nothing is said", async () => {
  const given = { data: [at("talks.jsonl")], chatTemplate: "none", packing: false, validationShare: 0 };
  await leaveRoomFor("sft", 8, 4);
  await expect(run(sft, { ...given, output: at("none") })).rejects.toThrow("sft: a step of 4 × 30");
  await leaveRoomFor("sft", 400, 4);
  const { notes, context } = await run(sft, { ...given, output: at("all") });
  expect(context).toBe(320);
  expect(notes).not.toContain("left out");
});

test("what is wrong with rows is said once, though they are read again", async () => {
  const rowsWithBad = `${readFileSync(at("pairs.jsonl"), "utf8")}${JSON.stringify({ prompt: "q", chosen: "a" })}\n`;
  writeFileSync(at("bad.jsonl"), rowsWithBad);
  await leaveRoomFor("dpo", 140, 4);
  const given = { data: [at("bad.jsonl")], badRows: "skip", output: at("bad") };
  const lines = (await run(dpo, given)).notes.split("\n");
  expect(lines.filter((line) => line.includes("rows have 128 tokens at most"))).toHaveLength(1); // it was read again
  expect(lines.filter((line) => line === "left out 1 bad row:")).toHaveLength(1);
  expect(lines.filter((line) => line.includes("line 13"))).toHaveLength(1);
});
