import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { openReference } from "../backend/reference/index.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { Random } from "../core/random.ts";
import { assistantContents } from "../generate/assistant.ts";
import { families } from "../models/index.ts";
import { loadModel } from "../models/load.ts";
import { mergeAdapters } from "../models/merge-adapters.ts";
import { storedTensors } from "../models/read-model.ts";
import { loadRewardModel } from "../models/reward-model.ts";
import { Initializer } from "../nn/parameters.ts";
import { Tensor } from "../tensor/tensor.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { rateOf } from "./adapter-settings.ts";
import { distill } from "./distill.ts";
import { dpo } from "./dpo.ts";
import { finetune } from "./finetune.ts";
import { openTrainedSolver } from "./finetune-model.ts";
import { grpo } from "./grpo.ts";
import { ppo } from "./ppo.ts";
import { pretrain } from "./pretrain/index.ts";
import { reward } from "./reward.ts";
import type { StageResult } from "./run-stage.ts";
import { runStage } from "./run-stage.ts";
import { sft } from "./sft.ts";
import type { Stage } from "./stage.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-adapters-"));
const at = (name: string): string => join(root, name);
const words = ["red", "green", "blue", "black"];
const log = new Map<string, Record<string, number>[]>();

function writeJsonl(name: string, rows: readonly object[]): string {
  writeFileSync(at(name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return at(name);
}

/** Runs a stage as the command line does; its metrics are in {@link log} by its output. */
async function run(
  stage: unknown,
  given: { readonly output: string; readonly [key: string]: unknown },
): Promise<StageResult & { notes: string[] }> {
  const notes: string[] = [];
  const { settings } = stage as Stage;
  const output = at(given.output);
  const parsed = settings.parse({ matmulPrecision: "float32", threads: 1, ...given, output });
  const logged = (_: number, metrics: Record<string, number>): void => {
    log.set(given.output, [...(log.get(given.output) ?? []), metrics]);
  };
  return { ...(await runStage(stage as Stage, parsed, { note: (line) => void notes.push(line), logged })), notes };
}

beforeAll(async () => {
  const text = `say a colour. ${words.join(" ")} user assistant system\n`.repeat(20);
  const tokenizer = trainByteLevelBpe([text], { vocabularySize: 290 }).withSpecialTokens(["<|endoftext|>"], {
    eos: "<|endoftext|>",
  });
  const shape = { vocabularySize: tokenizer.vocabularySize, context: 48, width: 32, layers: 2, heads: 2, dropout: 0 };
  const model = families.llama.create(families.llama.shaped(shape), new Initializer(openReference(), new Random(1)));
  await writeModelFolder(
    at("base"),
    assistantContents({ model, family: families.llama, encoder: new ChatEncoder(tokenizer, null) }),
  );
  const prompts = Array.from({ length: 16 }, (_, i) => `say a colour ${i}.`);
  writeFileSync(at("text.txt"), text.repeat(4));
  writeJsonl(
    "talks.jsonl",
    prompts.map((prompt, i) => ({ prompt, completion: words[i % 4] })),
  );
  writeJsonl(
    "prompts.jsonl",
    prompts.map((prompt) => ({ prompt })),
  );
  writeJsonl(
    "classes.jsonl",
    prompts.map((text, i) => ({ text: `${text} ${words[i % 4]}`, label: i % 4 === 0 ? "warm" : "cold" })),
  );
  writeJsonl(
    "rankings.jsonl",
    prompts.map((prompt, i) => ({ prompt, completions: [words[i % 4], "red red"], ranks: [1, 2] })),
  );
  const judge = { data: [at("rankings.jsonl")], model: at("base"), steps: 2, batchSize: 8, output: "judge" };
  await run(reward, judge);
});
afterAll(() => rmSync(root, { recursive: true }));

const adapters = { loraRank: 2, loraTargets: "all", learningRate: 1e-2 };
const common = { ...adapters, model: at("base"), steps: 4, saveEvery: 2, saveTotalLimit: 0, batchSize: 4 };
const judged = { data: [at("rankings.jsonl")], validationShare: 0.2 };
const stages: readonly (readonly [string, unknown, object])[] = [
  ["pretrain", pretrain, { data: [at("text.txt")], context: 16, loraDropout: 0.1 }],
  [
    "sft",
    sft,
    { data: [at("talks.jsonl")], chatTemplate: "none", validationShare: 0.2, loraDropout: 0.1, maxNewTokens: 2 },
  ],
  ["reward", reward, judged],
  ["dpo", dpo, judged],
  [
    "ppo",
    ppo,
    {
      prompts: [at("prompts.jsonl")],
      reward: at("judge/final"),
      answers: 8,
      miniBatches: 2,
      ppoEpochs: 2,
      maxNewTokens: 4,
    },
  ],
];

test.each(stages)(
  "%s with adapters is resumed bit for bit, computed again or not, and leaves the base alone",
  async (name, stage, own) => {
    const base = readFileSync(at("base/model.safetensors"));
    const given = { ...common, ...own };
    await run(stage, { ...given, output: name });
    const resumed = `${name}-resumed`;
    await run(stage, { ...given, recompute: true, output: resumed });
    rmSync(at(`${resumed}/final`), { recursive: true });
    rmSync(at(`${resumed}/checkpoint-4`), { recursive: true });
    rmSync(at(`${resumed}/adapter`), { recursive: true });
    await run(stage, { ...given, output: resumed, resume: true });
    const files = ["final/config.json", "final/model.safetensors", "adapter/adapter_model.safetensors"];
    for (const file of [...files, "checkpoint-4/optimizer.safetensors"]) {
      expect(readFileSync(at(`${resumed}/${file}`)).equals(readFileSync(at(`${name}/${file}`))), file).toBe(true);
    }
    expect(readFileSync(at(`${name}/final/model.safetensors`)).equals(base)).toBe(false);
    expect(readFileSync(at("base/model.safetensors")).equals(base)).toBe(true);
    const config = JSON.parse(readFileSync(at(`${name}/adapter/adapter_config.json`), "utf8"));
    const { loraDropout = 0 } = own as { loraDropout?: number };
    expect(config).toMatchObject({
      r: 2,
      lora_alpha: 16,
      lora_dropout: loraDropout,
      base_model_name_or_path: at("base"),
    });
    if (name !== "reward") await expectSum(`${name}/final`, [at(`${name}/adapter`)]);
    expect(config.task_type).toBe(name === "reward" ? "SEQ_CLS" : "CAUSAL_LM");
  },
  60_000,
);

const frozenStages: typeof stages = [
  ...stages,
  ["grpo", grpo, { prompts: [at("prompts.jsonl")], rewardPattern: "^r", answers: 8, generations: 4, maxNewTokens: 4 }],
  ["distill", distill, { teacher: at("base"), text: [at("text.txt")], context: 16, divergence: "reverse" }],
  ["finetune", finetune, { task: "classification", data: [at("classes.jsonl")], validationShare: 0.2 }],
];

test.each(frozenStages)(
  "%s on blocks trains adapters alone, is resumed bit for bit, and leaves an adapter that opens as the model",
  async (name, stage, own) => {
    const given = { ...common, ...own, weights: "q8_0" };
    const output = `${name}-q8_0`;
    await run(stage, { ...given, output });
    const resumed = `${output}-resumed`;
    await run(stage, { ...given, output: resumed });
    rmSync(at(`${resumed}/final`), { recursive: true });
    rmSync(at(`${resumed}/checkpoint-4`), { recursive: true });
    await run(stage, { ...given, output: resumed, resume: true });
    const files = ["final/adapter_model.safetensors", "final/adapter_config.json", "final/config.json"];
    for (const file of [...files, "checkpoint-4/adapter_model.safetensors", "checkpoint-4/optimizer.safetensors"]) {
      expect(readFileSync(at(`${resumed}/${file}`)).equals(readFileSync(at(`${output}/${file}`))), file).toBe(true);
    }
    expect(existsSync(at(`${output}/final/model.safetensors`))).toBe(false);
    expect(existsSync(at(`${output}/adapter`))).toBe(false);
    if (/reward|finetune/.test(name)) return;
    const backend = openReference();
    const opened = await loadModel(at(`${output}/final`), backend, "q8_0");
    const base = await loadModel(at("base"), backend, "q8_0");
    const beside = await loadModel(at("base"), backend, "q8_0", [at(`${output}/final`)]);
    const logits = ({ model }: typeof base): Promise<Float32Array> =>
      model.logits(model.forward(Tensor.from(backend, Int32Array.of(5, 6, 7), [1, 3]))).floats();
    expect(await logits(opened)).toEqual(await logits(beside));
    expect(await logits(opened)).not.toEqual(await logits(base));
  },
  60_000,
);

test("adapters learn at ten times the rate of whole matrices, unless a rate is asked for", () => {
  expect(rateOf({ loraRank: 0 }, 2e-5)).toBe(2e-5);
  expect(rateOf({ loraRank: 8 }, 2e-5)).toBe(2e-4);
  expect(rateOf({ loraRank: 8, learningRate: 3e-4 }, 2e-5)).toBe(3e-4);
});

test("what a classifier and a reward model learned on blocks, they say from their folders", async () => {
  const backend = openReference();
  const judge = await loadRewardModel(at("reward-q8_0/final"), backend, null, { weights: "stored" });
  expect(
    (await judge.model.scores(Tensor.from(backend, Int32Array.of(5), [1, 1]), Int32Array.of(0)).read()).length,
  ).toBe(1);
  const solver = await openTrainedSolver(at("finetune-q8_0/final"), backend);
  expect(solver.model.description.labels).toEqual(["cold", "warm"]);
});

test("a run on what a run on blocks left starts from there", async () => {
  const given = {
    ...common,
    ...judged,
    model: at("sft-q8_0/final"),
    weights: "q8_0",
    saveEvery: 0,
    output: "dpo-on-blocks",
  };
  await run(dpo, given);
  expect(log.get("dpo-on-blocks")?.[0]?.["rewards/margins"]).toBeCloseTo(0, 6);
  const config = JSON.parse(readFileSync(at("dpo-on-blocks/final/adapter_config.json"), "utf8"));
  expect(config.base_model_name_or_path).toBe(at("sft-q8_0/final"));
  await mergeAdapters(at("dpo-on-blocks/final"), [], at("merged"), openReference(), { dtype: "F32" });
  const backend = openReference();
  const ids = Tensor.from(backend, Int32Array.of(5, 6, 7), [1, 3]);
  const logits = async (path: string): Promise<number[]> => {
    const { model } = await loadModel(path, backend);
    return [...(await model.logits(model.forward(ids)).floats())];
  };
  expectClose(await logits(at("merged")), await logits(at("dpo-on-blocks/final")), { absolute: 1e-6, relative: 1e-6 });
});

test("what is said of adapters is not passed over where there are none", async () => {
  const given = { ...common, data: [at("talks.jsonl")], output: "refused", chatTemplate: "none", loraRank: 0 };
  for (const [flag, more] of Object.entries({
    "lora-targets: all": { loraTargets: "all" },
    "lora-alpha: 5": { loraAlpha: 5 },
    "lora-dropout: 0.1": { loraDropout: 0.1 },
  })) {
    const plain = { loraTargets: "attention", loraAlpha: 16, loraDropout: 0 };
    await expect(run(sft, { ...given, ...plain, ...more })).rejects.toThrow(
      `${flag} is for adapters, and there are none; add --lora-rank 8, or leave it out`,
    );
  }
});

test("blocks are for what stays as it is", async () => {
  const given = { ...common, data: [at("talks.jsonl")], weights: "q8_0", output: "refused", chatTemplate: "none" };
  await expect(run(sft, { ...given, loraRank: 0 })).rejects.toThrow(
    "weights: matrices that are trained are float32, q8_0 is for those that stay as they are; add --lora-rank 8",
  );
  const chain = { ...given, model: at("sft-q8_0/final"), adapter: [at("dpo-q8_0/final")] };
  await expect(run(sft, chain)).rejects.toThrow(
    `adapter: ${at("sft-q8_0/final")} is an adapter itself, of a base that lies as q8_0; name that base as --model`,
  );
});

test("on blocks, the adapter of a run holds what was added to the base before", async () => {
  const [first, second] = [at("sft-q8_0/final"), at("sft/adapter")];
  const given = { ...common, data: [at("talks.jsonl")], weights: "q8_0", chatTemplate: "none", maxNewTokens: 2 };
  const added = { ...given, adapter: [first, `${second}=0.5`], loraTargets: "attention" };
  await run(sft, { ...added, steps: 0, output: "kept" });
  const { notes } = await run(sft, { ...added, output: "learned" });
  expect(notes.join("\n")).toContain(`it holds the change of ${first} and ${second}=0.5, too`);
  await run(sft, { ...added, output: "learned-resumed" });
  for (const gone of ["final", "checkpoint-4"]) rmSync(at(`learned-resumed/${gone}`), { recursive: true });
  await run(sft, { ...added, output: "learned-resumed", resume: true });
  const file = "final/adapter_model.safetensors";
  expect(readFileSync(at(`learned-resumed/${file}`)).equals(readFileSync(at(`learned/${file}`)))).toBe(true);
  const backend = openReference();
  const logits = async (adapters: readonly string[]): Promise<Float32Array> => {
    const { model } = await loadModel(at("base"), backend, "q8_0", adapters);
    return model.logits(model.forward(Tensor.from(backend, Int32Array.of(5, 6, 7), [1, 3]))).floats();
  };
  const before = await logits(added.adapter);
  expectClose(await logits([at("kept/final")]), before, { absolute: 1e-5, relative: 1e-5 });
  const after = await logits([at("learned/final")]);
  expect(Math.max(...after.map((value, i) => Math.abs(value - (before[i] ?? 0))))).toBeGreaterThan(1e-3);
  const config = JSON.parse(readFileSync(at("learned/final/adapter_config.json"), "utf8"));
  expect(config.base_model_name_or_path).toBe(at("base"));
  expect(config.rank_pattern).toMatchObject({
    "model.layers.0.self_attn.q_proj": 6,
    "model.layers.0.mlp.down_proj": 4,
  });
});

/** The base with adapters is a final model. */
async function expectSum(final: string, adapters: readonly string[]): Promise<void> {
  const backend = openReference();
  const [sum, own] = [await loadModel(at("base"), backend, "float32", adapters), await loadModel(at(final), backend)];
  const values = new Map(storedTensors(own.family, own.model).map(({ name, read }) => [name, read]));
  for (const { name, read } of storedTensors(sum.family, sum.model)) {
    expectClose([...(await read())], [...((await values.get(name)?.()) ?? [])], { absolute: 1e-6, relative: 1e-6 });
  }
}

test("a run starts from the base with an adapter, and what it learns comes on top of that", async () => {
  const before = at("sft/adapter");
  const given = { ...common, ...judged, saveEvery: 0, adapter: [before], output: "dpo-on-sft" };
  const { notes } = await run(dpo, given);
  expect(notes.join("\n")).toContain(`adapter in ${at("dpo-on-sft/adapter")}, to be added after ${before}`);
  expect(log.get("dpo-on-sft")?.[0]?.["rewards/margins"]).toBeCloseTo(0, 6);
  await expectSum("dpo-on-sft/final", [before, at("dpo-on-sft/adapter")]);
});

test("what DPO and PPO stay near to is the base: at first nothing is between them", () => {
  const [first] = log.get("dpo") ?? [];
  expect(first?.loss).toBeCloseTo(Math.log(2), 6);
  expect(first?.["rewards/margins"]).toBeCloseTo(0, 6);
  const [rolled, later] = log.get("ppo") ?? [];
  expect(rolled?.["objective/kl"]).toBeCloseTo(0, 6);
  expect(Math.abs(later?.["objective/kl"] ?? 0)).toBeGreaterThan(1e-4);
});

test("the embedding of new tokens is trained beside adapters, and lies beside them", async () => {
  const given = { ...common, data: [at("talks.jsonl")], chatTemplate: "chatml", maxNewTokens: 2 };
  const { notes } = await run(sft, { ...given, output: "tokens" });
  expect(notes.join("\n")).toContain(
    "2 new tokens: the embedding that they are rows of is trained beside the adapters",
  );
  expect(readFileSync(at("tokens/adapter/adapter_model.safetensors"), "latin1")).toContain("model.embed_tokens.weight");
});

test("patience puts the best adapters back", async () => {
  // What is held out says the opposite of what is learned: it only gets worse.
  const held = writeJsonl("held.jsonl", [{ prompt: "say a colour 1.", completion: "user system user" }]);
  const given = { ...common, data: [at("talks.jsonl")], validation: [held], maxNewTokens: 2, steps: 60 };
  const patient = { ...given, learningRate: 0.1, evaluateEvery: 2, patience: 3, chatTemplate: "none" };
  const { step, notes, model } = await run(sft, { ...patient, output: "patient" });
  expect(step).toBeLessThan(60);
  expect(notes.join("\n")).toMatch(/stopped after \d+ steps: 3 evaluations without a better eval_loss/);
  expect(existsSync(at("patient/best-adapters.safetensors"))).toBe(true);
  const losses = (log.get("patient") ?? []).flatMap(({ eval_loss }) => eval_loss ?? []);
  const check = { data: given.data, validation: [held], model, steps: 0, chatTemplate: "none", maxNewTokens: 2 };
  const again = await run(sft, { ...check, output: "patient-check" });
  expect(again.metrics.eval_loss).toBeCloseTo(Math.min(...losses), 4);
  expect(readdirSync(at("patient/adapter"))).toContain("adapter_model.safetensors");
});

test("patience without evaluations, and adapters of what has learned nothing, are refused", async () => {
  const given = { ...common, data: [at("talks.jsonl")], validationShare: 0.3, output: "refused" };
  await expect(run(sft, { ...given, patience: 2 })).rejects.toThrow("patience: 2 evaluations are to be waited for");
  await expect(run(sft, { ...given, patience: 2, evaluateEvery: 1, validationShare: 0 })).rejects.toThrow(
    "patience: nothing is held out",
  );
  const fresh = { ...common, model: "llama", data: [at("text.txt")], output: "refused" };
  await expect(run(pretrain, fresh)).rejects.toThrow("lora-rank: a new llama has learned nothing");
  await expect(run(pretrain, { ...fresh, model: "bert" })).rejects.toThrow("lora-rank: a new bert has learned nothing");
});
