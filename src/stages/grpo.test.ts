import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { Random } from "../core/random.ts";
import { assistantContents, rewardContents, withPaddingToken } from "../generate/assistant.ts";
import { families } from "../models/index.ts";
import { RewardModel } from "../models/reward-model.ts";
import { Initializer } from "../nn/parameters.ts";
import { AdamW } from "../optim/adamw.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { grpo } from "./grpo.ts";
import type { StageResult } from "./run-stage.ts";
import { runStage } from "./run-stage.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-grpo-"));
const at = (name: string): string => join(root, name);
const machine = { matmulPrecision: "float32", threads: 1 };

beforeAll(async () => {
  const tokenizer = trainByteLevelBpe(["yes no say it ".repeat(20)], { vocabularySize: 262 }).withSpecialTokens(
    ["<|endoftext|>"],
    { eos: "<|endoftext|>" },
  );
  const shape = { vocabularySize: tokenizer.vocabularySize, context: 16, width: 16, layers: 1, heads: 2, dropout: 0 };
  const newModel = (seed: number) =>
    families.gpt2.create(families.gpt2.shaped(shape), new Initializer(openReference(), new Random(seed)));
  const encoder = new ChatEncoder(tokenizer, null);
  await writeModelFolder(at("base"), assistantContents({ model: newModel(1), family: families.gpt2, encoder }));
  const judge = new RewardModel(newModel(2), new Random(3));
  await writeModelFolder(at("judge"), rewardContents(families.gpt2, judge, withPaddingToken(encoder)));
  const rows = ["say", "it"].map((prompt) => JSON.stringify({ prompt, answer: "yes", wish: "s" }));
  writeFileSync(at("prompts.jsonl"), rows.join("\n"));
  const share = "(prompt, completion, row) => completion.split(row.wish).length - 1";
  writeFileSync(at("wish.mjs"), `export default ${share};\n`);
  writeFileSync(at("late.mjs"), `export const reward = async (...all) => ${`(${share})`}(...all);\n`);
  writeFileSync(at("broken.mjs"), "export default () => { throw new Error('no such luck'); };\n");
  writeFileSync(at("empty.mjs"), "export const other = 1;\n");
  writeFileSync(at("words.mjs"), "export default () => '5';\n");
});
afterEach(() => void vi.restoreAllMocks());
afterAll(() => rmSync(root, { recursive: true }));

async function run(
  given: object,
  signal?: AbortSignal,
  logged?: (step: number) => void,
): Promise<StageResult & { notes: string[] }> {
  const notes: string[] = [];
  const common = { ...machine, model: at("base"), prompts: [at("prompts.jsonl")], answers: 8, generations: 4 };
  const training = { maxNewTokens: 4, learningRate: 1e-2, batchSize: 4, schedule: "constant" };
  const settings = grpo.settings.parse({ ...common, ...training, ...given });
  const watcher = {
    note: (line: string) => void notes.push(line),
    ...(signal && { signal }),
    ...(logged && { logged }),
  };
  return { ...(await runStage(grpo, settings, watcher)), notes };
}

const weightsOf = (folder: string): Buffer => readFileSync(join(at(folder), "model.safetensors"));

test("stopped by its signal and resumed it ends with the bits of a run that never stopped", async () => {
  const settings = { reward: [at("wish.mjs")], steps: 4, beta: 0.05, passes: 2, miniBatches: 2, saveEvery: 1 };
  await run({ ...settings, output: at("whole") });
  const stop = new AbortController();
  const first = await run({ ...settings, output: at("cut") }, stop.signal, (step) => {
    if (step === 2) stop.abort();
  });
  expect(first).toMatchObject({ interrupted: true, step: 2, model: null });
  await run({ ...settings, output: at("cut"), resume: true });
  expect(weightsOf("cut/final").equals(weightsOf("whole/final"))).toBe(true);
  const moments = (name: string): Buffer => readFileSync(join(at(name), "checkpoint-4/optimizer.safetensors"));
  expect(moments("cut").equals(moments("whole"))).toBe(true);
});

/** A signal that is aborted when optimizers have made so many updates, those counted with that measure memory before the run. */
function afterUpdates(count: number): AbortSignal {
  const stop = new AbortController();
  const { update } = AdamW.prototype;
  let updates = 0;
  vi.spyOn(AdamW.prototype, "update").mockImplementation(function (this: AdamW, ...how) {
    update.apply(this, how);
    if (++updates === count) stop.abort();
  });
  return stop.signal;
}

test("an iteration that is stopped while it learns is given up where nothing else is lost, finished elsewhere", async () => {
  const settings = { reward: [at("wish.mjs")], steps: 3, passes: 2, miniBatches: 2 };
  const whole = await run({ ...settings, output: at("learnt") });
  expect(whole.step).toBe(3);
  const same = (name: string): boolean => weightsOf(`${name}/final`).equals(weightsOf("learnt/final"));
  const output = at("saved-before");
  expect(await run({ ...settings, saveEvery: 2, output }, afterUpdates(10))).toMatchObject({
    ...{ interrupted: true, step: 2 },
  });
  vi.restoreAllMocks();
  await run({ ...settings, output, resume: true });
  expect(same("saved-before")).toBe(true);
  const finished = await run({ ...settings, saveEvery: 0, output: at("not-saved") }, afterUpdates(6));
  expect(finished).toMatchObject({ interrupted: true, step: 2 });
  vi.restoreAllMocks();
  const first = run({ ...settings, output: at("first") }, afterUpdates(3));
  await expect(first).rejects.toThrow(
    /^grpo: stopped in its first iteration, .*begin again with --output .*first --resume$/,
  );
  vi.restoreAllMocks();
  await run({ ...settings, output: at("first"), resume: true });
  expect(same("first")).toBe(true);
});

test("a judge that never answers does not keep a signal waiting", async () => {
  writeFileSync(at("mute.mjs"), "export default () => new Promise(() => {});\n");
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 300);
  const stopped = await run({ reward: [at("mute.mjs")], output: at("mute-stopped") }, stop.signal);
  expect(stopped).toMatchObject({ interrupted: true, step: 0 });
});

test("adapters are trained with the policy without them as reference, and resumed bit for bit", async () => {
  const settings = { rewardPattern: "s", steps: 3, beta: 0.05, passes: 2, saveEvery: 1, loraRank: 2 };
  await run({ ...settings, output: at("adapted") });
  const stop = new AbortController();
  await run({ ...settings, output: at("adapted-cut") }, stop.signal, (step) => {
    if (step === 1) stop.abort();
  });
  await run({ ...settings, output: at("adapted-cut"), resume: true });
  expect(weightsOf("adapted-cut/final").equals(weightsOf("adapted/final"))).toBe(true);
  expect(weightsOf("adapted/final").equals(weightsOf("base"))).toBe(false);
  expect(readFileSync(join(at("adapted"), "adapter/adapter_config.json"), "utf8")).toContain("LORA");
});

test("judges of every kind are added up by their weights and logged by name", async () => {
  writeFileSync(at("schema.json"), '{"type":"string"}');
  const { metrics } = await run({
    ...{ reward: ["exact", at("late.mjs"), at("judge")], rewardPattern: "s", rewardSchema: at("schema.json") },
    ...{ rewardWeights: [1, 2, 0.5, 3, 1], steps: 1, output: at("judges") },
  });
  const mean = (name: string): number => metrics[`rewards/${name}/mean`] ?? Number.NaN;
  expect(metrics.reward).toBeCloseTo(
    mean("exact") + 2 * mean("late") + 0.5 * mean("judge") + 3 * mean("pattern") + mean("schema"),
    5,
  );
  const [line = ""] = readFileSync(join(at("judges"), "samples.jsonl"), "utf8").split("\n");
  expect(JSON.parse(line)).toMatchObject({ rewards: expect.any(Array), advantage: expect.any(Number) });
});

test("a run whose answers are all worth the same says so", async () => {
  const { notes, metrics } = await run({ rewardPattern: "^never this$", steps: 2, output: at("stuck") });
  expect(metrics.frac_reward_zero_std).toBe(1);
  expect(notes.filter((line) => line.includes("rewards differ"))).toHaveLength(1);
});

test.each<[object, RegExp]>([
  [{}, /^reward: nothing judges the answers/],
  [{ reward: ["exact"], answers: 9 }, /^answers: 9 are no multiple of 4 generations; use 12/],
  [{ reward: ["exact"], rewardWeights: [1, 2] }, /^reward-weights: are 2 for 1 rewards/],
  [{ reward: ["exact"], reference: "x" }, /^reference: x is given, and --beta is 0/],
  [{ reward: ["nowhere.mjs"] }, /nowhere\.mjs is neither exact nor a JavaScript module/],
  [{ rewardPattern: "(" }, /^reward-pattern: Invalid regular expression/],
  [{ rewardPattern: "a", answerPattern: "b" }, /^answer-pattern: is for --reward exact/],
])("%j is refused before anything is answered", async (given, reason) => {
  await expect(run({ ...given, output: at("refused") })).rejects.toThrow(reason);
});

test("modules without a function, or whose function fails, and rows without an answer are named", async () => {
  const output = at("refused");
  await expect(run({ reward: [at("empty.mjs")], output })).rejects.toThrow(/empty\.mjs exports no function/);
  await expect(run({ reward: [at("broken.mjs")], output })).rejects.toThrow(
    /broken\.mjs: failed for an answer to .*prompts\.jsonl, line \d: no such luck/,
  );
  await expect(run({ reward: [at("words.mjs")], output: at("words") })).rejects.toThrow(
    /words\.mjs: gave '5' for an answer to .*prompts\.jsonl, line \d; return a number/,
  );
  writeFileSync(at("bare.jsonl"), '{"prompt":"say"}\n');
  await expect(run({ reward: ["exact"], prompts: [at("bare.jsonl")], output: at("bare") })).rejects.toThrow(
    /bare\.jsonl, line 1: has no column "answer", which the reward exact compares with/,
  );
});
