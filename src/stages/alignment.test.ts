import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { Random } from "../core/random.ts";
import { assistantContents, openAssistant } from "../generate/assistant.ts";
import { families } from "../models/index.ts";
import { Initializer } from "../nn/parameters.ts";
import { AdamW } from "../optim/adamw.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { loadChatEncoder } from "../text/load-chat-encoder.ts";
import { readRun } from "../train/run-reader.ts";
import { dpo } from "./dpo.ts";
import { grpo } from "./grpo.ts";
import { ppo } from "./ppo.ts";
import { reward } from "./reward.ts";
import type { StageResult } from "./run-stage.ts";
import { runStage } from "./run-stage.ts";
import { sft } from "./sft.ts";
import type { Stage } from "./stage.ts";

const backend = openReference();
const root = mkdtempSync(join(tmpdir(), "stemma-align-"));
const at = (name: string): string => join(root, name);
const machine = { matmulPrecision: "float32", threads: 1 };
const words = ["red", "green", "blue", "black"];

function writeJsonl(name: string, rows: readonly object[]): string {
  writeFileSync(at(name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return at(name);
}

/** Runs a stage as the command line does. */
async function run(stage: Stage, given: object, signal?: AbortSignal): Promise<StageResult & { notes: string[] }> {
  const notes: string[] = [];
  const settings = stage.settings.parse({ ...machine, ...given });
  const watcher = { note: (line: string) => void notes.push(line), ...(signal ? { signal } : {}) };
  return { ...(await runStage(stage, settings, watcher)), notes };
}

const weightsOf = (folder: string): Buffer => readFileSync(join(folder, "model.safetensors"));

beforeAll(async () => {
  const text = `say a colour. ${words.join(" ")} user assistant system\n`.repeat(20);
  const tokenizer = trainByteLevelBpe([text], { vocabularySize: 290 }).withSpecialTokens(["<|endoftext|>"], {
    eos: "<|endoftext|>",
  });
  const shape = { vocabularySize: tokenizer.vocabularySize, context: 48, width: 16, layers: 1, heads: 2, dropout: 0 };
  const model = families.gpt2.create(families.gpt2.shaped(shape), new Initializer(backend, new Random(1)));
  const base = { model, family: families.gpt2, encoder: new ChatEncoder(tokenizer, null) };
  await writeModelFolder(at("base"), assistantContents(base));
  const prompts = Array.from({ length: 24 }, (_, i) => `say a colour ${i}.`);
  writeJsonl(
    "talks.jsonl",
    prompts.map((prompt, i) => ({ prompt, completion: words[i % 4] })),
  );
  writeJsonl(
    "prompts.jsonl",
    prompts.map((prompt) => ({ prompt })),
  );
  writeJsonl(
    "rankings.jsonl",
    prompts.map((prompt, i) => ({
      ...{ prompt, completions: [words[i % 4], words[(i + 1) % 4], "red red"] },
      ranks: [i % 4 === 0 ? 1 : 2, i % 4 === 3 ? 1 : 2, 3],
    })),
  );
});
afterAll(() => rmSync(root, { recursive: true }));

const sftSettings = {
  ...{ data: [at("talks.jsonl")], validationShare: 0.2, batchSize: 4, learningRate: 1e-2 },
  ...{ schedule: "constant", maxNewTokens: 4, saveEvery: 15 },
};

test("SFT teaches the answers, adds the template's tokens, and saves template and tokenizer with the model", async () => {
  const { metrics, model } = await run(sft, { ...sftSettings, model: at("base"), output: at("sft"), steps: 30 });
  expect(metrics.loss).toBeLessThan(2); // the colours themselves follow from nothing
  expect(metrics.eval_loss).toBeLessThan(2);
  const opened = await openAssistant(model ?? "", backend);
  const { tokenizer, template } = opened.encoder;
  expect(template?.source).toContain("<|im_start|>");
  expect(opened.model.settings.vocabularySize).toBe((tokenizer.idOf("<|im_end|>") ?? 0) + 1);
  expect(readdirSync(at("sft"))).toContain("checkpoint-15");
});

test("SFT resumed in the middle ends with the same weights", async () => {
  const settings = { ...sftSettings, model: at("base"), steps: 30 };
  const stop = new AbortController();
  const stages: Stage = {
    ...(sft as unknown as Stage),
    prepare: (given, environment) =>
      (sft as unknown as Stage).prepare(given, {
        ...environment,
        log(step, metrics) {
          environment.log(step, metrics);
          if (step === 11) stop.abort();
        },
      }),
  };
  const output = at("sft-resumed");
  const first = await run(stages, { ...settings, output }, stop.signal);
  expect(first).toMatchObject({ interrupted: true, step: 11, model: null });
  await run(sft as unknown as Stage, { ...settings, output, resume: true });
  expect(weightsOf(join(output, "final")).equals(weightsOf(at("sft/final")))).toBe(true);
});

test("a reward model learns the rankings, is centred, and says how good it is", async () => {
  const settings = { data: [at("rankings.jsonl")], batchSize: 6, validationShare: 0.2, learningRate: 1e-2, steps: 40 };
  const { metrics, notes } = await run(reward, { ...settings, model: at("sft/final"), output: at("reward") });
  expect(metrics.accuracy).toBeGreaterThan(0.8);
  expect(metrics.eval_accuracy).toBeGreaterThan(0.6);
  expect(notes.join("\n")).toMatch(/held-out accuracy .*\n.*verdict/s);
  expect(readdirSync(at("reward"))).toEqual(expect.arrayContaining(["reward-check.json", "reward-check.svg", "final"]));
  // Killed between its last checkpoint and its final model: it is not centred again, which would change the last bits.
  renameSync(at("reward/final"), at("reward-final"));
  await run(reward, { ...settings, model: at("sft/final"), output: at("reward"), resume: true });
  for (const name of ["config.json", "model.safetensors"]) {
    expect(
      readFileSync(join(at("reward/final"), name)).equals(readFileSync(join(at("reward-final"), name))),
      name,
    ).toBe(true);
  }
  const check = { data: [at("rankings.jsonl")], check: true, model: at("reward/final"), output: at("check") };
  const checked = await run(reward, check);
  expect(checked.notes[0]).toMatch(/^held-out accuracy/);
  expect(checked.metrics.eval_accuracy).toBeGreaterThan(0.8);
  expect(checked.model).toBeNull();
  expect(await readRun(at("check"))).toMatchObject({ state: "finished", model: null });
});

const ppoSettings = {
  ...{ prompts: [at("prompts.jsonl")], steps: 4, answers: 8, batchSize: 4, miniBatches: 2, ppoEpochs: 2 },
  ...{ maxNewTokens: 5, learningRate: 1e-3, temperature: 1, klTarget: 2, klHorizon: 50, saveEvery: 2 },
};

test("PPO stopped at a checkpoint and resumed ends with the same weights as one that never stopped", async () => {
  const settings = { ...ppoSettings, model: at("sft/final"), reward: at("reward/final") };
  const whole = await run(ppo, { ...settings, output: at("ppo") });
  expect(whole.metrics.episode).toBe(32);
  expect(whole.metrics["objective/kl_coef"]).not.toBe(0.05);
  const output = at("ppo-resumed");
  // What a killed process leaves: the checkpoint of step 2 and nothing after it.
  await run(ppo, { ...settings, output, steps: 4, saveTotalLimit: 0 });
  rmSync(join(output, "final"), { recursive: true });
  rmSync(join(output, "checkpoint-4"), { recursive: true });
  await run(ppo, { ...settings, output, resume: true });
  for (const file of ["final", "checkpoint-4"]) {
    expect(weightsOf(join(output, file)).equals(weightsOf(join(at("ppo"), file)))).toBe(true);
  }
  const state = (run: string): Buffer => readFileSync(join(at(run), "checkpoint-4", "optimizer.safetensors"));
  expect(state("ppo-resumed").equals(state("ppo"))).toBe(true);
});

test("PPO stopped while it learns goes on from its checkpoint to the same weights", async () => {
  const settings = { ...ppoSettings, model: at("sft/final"), reward: at("reward/final"), output: at("ppo-stopped") };
  const stop = new AbortController();
  const { update } = AdamW.prototype;
  let updates = 0;
  const counted = vi.spyOn(AdamW.prototype, "update").mockImplementation(function (this: AdamW, ...how) {
    update.apply(this, how);
    if (++updates === 2 * 8 + 3) stop.abort(); // in the third iteration
  });
  const stopped = await run(ppo, settings, stop.signal).finally(() => counted.mockRestore());
  expect([stopped.interrupted, stopped.step, updates]).toEqual([true, 2, 19]);
  await run(ppo, { ...settings, resume: true });
  for (const file of ["final", "checkpoint-4"]) {
    expect(weightsOf(at(join("ppo-stopped", file))).equals(weightsOf(at(join("ppo", file))))).toBe(true);
  }
});

test.each<[Stage, object, string]>([
  [sft as unknown as Stage, { accumulation: 1e15 }, "accumulation must be at most 100000"],
  [ppo, { ppoEpochs: 1e15 }, "ppoEpochs must be at most 10000"],
  [ppo, { miniBatches: 1e15 }, "miniBatches must be at most 100000"],
  [grpo, { passes: 1e15 }, "passes must be at most 10000"],
])("a count that no run could come to the end of is refused: %#", async (stage, given, reason) => {
  const paths = { model: "a", data: ["b"], reward: "c", prompts: ["d"], output: at("refused") };
  await expect(runStage(stage, { ...paths, ...given })).rejects.toThrow(reason);
});

test("PPO's samples carry what was thought of each token", () => {
  const lines = readFileSync(join(at("ppo"), "samples.jsonl"), "utf8")
    .trim()
    .split("\n");
  const sample = JSON.parse(lines[0] ?? "") as { tokens: { token: string; kl: number; value: number }[] };
  expect(sample.tokens[0]).toEqual({
    ...{ token: expect.any(String), kl: expect.any(Number) },
    ...{ value: expect.any(Number), advantage: expect.any(Number) },
  });
});

test("a KL explosion stops PPO with everything saved", async () => {
  const settings = { ...ppoSettings, model: at("sft/final"), reward: at("reward/final"), output: at("ppo-kl") };
  await expect(run(ppo, { ...settings, klLimit: 1e-9, learningRate: 0.05 })).rejects.toThrow(
    /KL is .* the limit is 1e-9; what came of it is saved/,
  );
  expect(readdirSync(at("ppo-kl")).some((name) => name.startsWith("checkpoint-"))).toBe(true);
});

test("a model that is no reward model, and one with another tokenizer, are refused", async () => {
  const settings = { ...ppoSettings, model: at("sft/final"), output: at("refused") };
  await expect(run(ppo, { ...settings, reward: at("sft/final") })).rejects.toThrow(/not a reward model; make one with/);
  await expect(run(ppo, { ...settings, reward: at("reward/final"), miniBatches: 1000 })).rejects.toThrow(
    /1000 are more than the \d+ answers of an iteration/,
  );
  await expect(run(ppo, { ...settings, reward: at("reward/final"), critic: at("base") })).rejects.toThrow(
    /base: has another tokenizer than the policy \(token \d+ is missing, and "<\|im_start\|>" there\)/,
  );
  await expect(run(ppo, { ...settings, reward: at("reward/final"), maxNewTokens: 5000 })).rejects.toThrow(
    /max-new-tokens: answers of 5000 tokens leave no room for a prompt in a context of \d+; lower it/,
  );
});

test.each(["sigmoid", "cdpo", "robust", "ipo", "hinge", "orpo", "simpo"])(
  "DPO with the %s loss separates chosen from rejected",
  async (loss) => {
    const settings = {
      data: [at("rankings.jsonl")],
      loss,
      batchSize: 8,
      validationShare: 0.2,
      learningRate: 3e-3,
      steps: 15,
    };
    const { metrics } = await run(dpo, { ...settings, model: at("sft/final"), output: at(`dpo-${loss}`) });
    expect(metrics["rewards/accuracies"]).toBeGreaterThan(0.7);
    expect(metrics["eval_rewards/margins"]).toBeGreaterThan(0);
    expect((await loadChatEncoder(at(`dpo-${loss}/final`))).template).not.toBeNull();
  },
);

test("single answers with labels are learned by KTO, resumed bit for bit", async () => {
  const data = writeJsonl(
    "judged.jsonl",
    Array.from({ length: 24 }, (_, i) => {
      const label = i % 2 === 0;
      return { prompt: `say a colour ${i >> 1}.`, completion: label ? words[(i >> 1) % 4] : "red red", label };
    }),
  );
  const settings = { data: [data], loss: "kto", batchSize: 4, accumulation: 2, validationShare: 0.2 };
  const training = { learningRate: 3e-3, steps: 12, saveEvery: 6, saveTotalLimit: 0, model: at("sft/final") };
  const { metrics } = await run(dpo, { ...settings, ...training, output: at("kto") });
  expect(metrics["rewards/chosen"]).toBeGreaterThan(metrics["rewards/rejected"] ?? 0);
  expect(metrics["rewards/margins"]).toBeCloseTo(
    (metrics["rewards/chosen"] ?? 0) - (metrics["rewards/rejected"] ?? 0),
    5,
  );
  expect(metrics.kl).toBeGreaterThanOrEqual(0);
  expect(metrics["eval_rewards/margins"]).toBeGreaterThan(0);
  renameSync(at("kto/final"), at("kto-final"));
  rmSync(at("kto/checkpoint-12"), { recursive: true });
  await run(dpo, { ...settings, ...training, output: at("kto"), resume: true });
  expect(weightsOf(at("kto/final")).equals(weightsOf(at("kto-final")))).toBe(true);
});

test("a constant of another loss, and a reference where there is none, are refused", async () => {
  const settings = { data: [at("rankings.jsonl")], model: at("sft/final"), output: at("refused") };
  await expect(run(dpo, { ...settings, labelSmoothing: 0.1, loss: "ipo" })).rejects.toThrow(
    "label-smoothing: 0.1 is given, and is for sigmoid, cdpo, robust, not for the ipo loss; leave it out",
  );
  await expect(run(dpo, { ...settings, loss: "simpo", reference: at("base") })).rejects.toThrow(
    "reference: the simpo loss has none",
  );
  const judged = { ...settings, data: [at("judged.jsonl")] };
  await expect(run(dpo, judged)).rejects.toThrow(/none of the known layouts/);
});

test("stages leave bad and long rows out where asked, say why, and record the context that they took", async () => {
  const good = Array.from({ length: 6 }, (_, i) => ({ prompt: `say ${i}.`, completion: "red" }));
  const long = { prompt: "say red", completion: "red ".repeat(60) };
  writeFileSync(
    at("mixed.jsonl"),
    [...good, { prompt: "x" }, long]
      .map((row) => JSON.stringify(row))
      .join("\n")
      .concat("\nno json\n"),
  );
  const settings = { model: at("base"), data: [at("mixed.jsonl")], validationShare: 0, chatTemplate: "none", steps: 1 };
  const result = await run(sft, { ...settings, badRows: "skip", longRows: "skip", output: at("sft-mixed") });
  expect(result.notes[0]).toBe("left out 2 bad rows:");
  expect(result.notes[1]).toMatch(/mixed\.jsonl, line 7: has no column "completion"/);
  expect(result.notes[2]).toMatch(/mixed\.jsonl, line 9: is not JSON/);
  expect(result.notes[3]).toMatch(
    /left out 1 of 7 conversations: longer than the context of 48 tokens; the longest has \d+; the model reads at most 48/,
  );
  const recordOf = (name: string): { resolved: { context: unknown } } =>
    JSON.parse(readFileSync(join(at(name), "settings.json"), "utf8"));
  expect(recordOf("sft-mixed").resolved.context).toBe(48);
  const short = { ...settings, data: [writeJsonl("short.jsonl", good)], context: 16, output: at("sft-short") };
  await run(sft, short);
  expect(recordOf("sft-short").resolved.context).toBe(16);
  await expect(run(sft, { ...short, context: 49, output: at("sft-49") })).rejects.toThrow(
    "context: 49 is more than the 48 tokens that the model reads; lower it",
  );
  await expect(run(sft, { ...settings, output: at("sft-refused") })).rejects.toThrow(
    /line 7: has no column "completion"/,
  );
});
