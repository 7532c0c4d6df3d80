import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { exportModel } from "../../src/cli/export.ts";
import { generate } from "../../src/cli/generate.ts";
import { importModel } from "../../src/cli/import.ts";
import { predict } from "../../src/cli/predict.ts";
import { sample } from "../../src/cli/sample.ts";
import { score } from "../../src/cli/score.ts";
import { tokenizerDecode } from "../../src/cli/tokenizer-decode.ts";
import { tokenizerEncode } from "../../src/cli/tokenizer-encode.ts";
import { ModelScorer } from "../../src/eval/model-scorer.ts";
import type { Assistant } from "../../src/generate/assistant.ts";
import { openAssistant } from "../../src/generate/assistant.ts";
import { ChatSession } from "../../src/generate/chat-session.ts";
import { SamplingSettings } from "../../src/generate/sampling.ts";
import { dpo } from "../../src/stages/dpo.ts";
import { finetune } from "../../src/stages/finetune.ts";
import { ppo } from "../../src/stages/ppo.ts";
import { reward } from "../../src/stages/reward.ts";
import { runStage } from "../../src/stages/run-stage.ts";
import { sft } from "../../src/stages/sft.ts";
import type { Stage } from "../../src/stages/stage.ts";
import { loadTokenizer } from "../../src/text/load-tokenizer.ts";
import { bounded } from "../../src/text/text-bounds.ts";
import { runCommand } from "../run-command.ts";

/** A folder in the manner of Llama 2, through every command and stage, beside what transformers made of it. */
const folder = join(import.meta.dirname, "fixtures/llama2-folder");
const recorded = JSON.parse(readFileSync(join(folder, "recorded.json"), "utf8"));
const [bos, eos, end] = [1, 2, 314];

const root = mkdtempSync(join(tmpdir(), "stemma-llama2-"));
afterAll(() => rmSync(root, { recursive: true }));
const at = (name: string): string => join(root, name);
const read = (path: string) => JSON.parse(readFileSync(path, "utf8"));
const lines = (path: string) =>
  readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
const rows = (name: string, list: readonly object[]): string => {
  writeFileSync(at(name), list.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return at(name);
};

const common = { threads: 1, matmulPrecision: "float32", steps: 1, batchSize: 1, validationShare: 0 };
const run = async (stage: Stage, given: object): Promise<void> => {
  await runStage(stage, stage.settings.parse({ ...common, ...given }), {});
};

/** A written folder names both ends, the beginning, and what transformers would otherwise guess. */
function checkWritten(path: string): void {
  expect(read(join(path, "config.json"))).toMatchObject({ bos_token_id: bos, eos_token_id: eos, vocab_size: 336 });
  const { eos_token_id: ends } = read(join(path, "generation_config.json"));
  expect([...ends].sort()).toEqual([eos, end]);
}

let assistant: Assistant;
const pairs = (): string => rows("pairs.jsonl", [recorded.pair]);
beforeAll(async () => {
  assistant = await openAssistant(folder, openReference());
});

test("tokenizer: ids are those of the library, a text of its own begins once", async () => {
  const { tokenizer } = assistant.encoder;
  for (const { text, ids, bounded: framed, decoded } of recorded.texts) {
    expect([...tokenizer.encode(text)], text).toEqual(ids);
    expect(tokenizer.decode(ids), text).toBe(decoded);
    const once = text.startsWith("<s>") ? framed.slice(1) : framed;
    expect([...bounded(tokenizer, tokenizer.encode(text))], text).toEqual(once);
    const encoded = await runCommand(tokenizerEncode, { tokenizer: folder, text });
    expect(encoded.result).toMatchObject({ ids });
    expect((await runCommand(tokenizerDecode, { tokenizer: folder, ids })).result).toMatchObject({ text: decoded });
  }
});

test("a conversation is encoded as a whole, and its answers' tokens are marked", () => {
  const { messages, ids, answers, prompt } = recorded.talk;
  const encoded = assistant.encoder.encode(messages);
  expect([...encoded.ids]).toEqual(ids);
  expect([...encoded.isAnswer.keys()].filter((i) => encoded.isAnswer[i])).toEqual(answers);
  expect([...assistant.encoder.encodePrompt(messages.slice(0, 3))]).toEqual(prompt);
  const ended = messages.map((turn: object, i: number) => (i === 3 ? { ...turn, content: "Yes</s>" } : turn));
  expect([...assistant.encoder.encode(ended).ids]).toEqual(ids);
});

test("generate and score", async () => {
  const given = { model: folder, prompt: ["Hi"], temperature: 0, maxNewTokens: 24, threads: 1 };
  const { result, shown } = await runCommand(generate, given);
  const { ids, text, finish } = recorded.generated;
  // Bytes that are no UTF-8 are shown one by one by transformers, as they come here; the words before them are the same.
  const words = " world the";
  expect(text.startsWith(words)).toBe(true);
  const { continuations, tokens } = result as {
    continuations: { text: string; finishReason: string }[];
    tokens: number;
  };
  expect([tokens, continuations[0]?.finishReason]).toEqual([ids.length, finish]);
  expect(continuations[0]?.text.startsWith(words)).toBe(true);
  expect(shown.startsWith(`Hi${words}`)).toBe(true);
  const started = await runCommand(generate, { ...given, prompt: [""], maxNewTokens: 2 });
  expect(started.result).toMatchObject({ tokens: 2 });
  const scored = (await runCommand(score, { model: folder, text: recorded.scored.text, threads: 1 })).result as {
    tokenIds: number[];
    logProbs: (number | null)[];
  };
  expect(scored.tokenIds).toEqual(recorded.scored.ids);
  for (const [i, value] of recorded.scored.logProbs.entries()) expect(scored.logProbs[i + 1]).toBeCloseTo(value, 4);
});

test("eval and chat", async () => {
  const { model, encoder } = assistant;
  const scorer = new ModelScorer(model, encoder.tokenizer, { name: "x", batchTokens: 64, seed: 1 });
  const { context, continuation, logProb } = recorded.continued;
  const [[likelihood] = []] = await scorer.likelihoods([{ context, continuations: [continuation] }], () => {});
  expect(likelihood?.logProb).toBeCloseTo(logProb, 4);
  const [whole] = await scorer.textLikelihoods([recorded.scored.text], () => {});
  expect(whole).toBeCloseTo(recorded.scored.logProbs[0] + recorded.scored.logProbs[1], 4);
  const sampling = SamplingSettings.parse({ temperature: 2 });
  const session = new ChatSession(model, encoder, { system: "", sampling, maxNewTokens: 30, seed: 1 });
  let said = "";
  for await (const piece of session.say("hello")) said += piece;
  expect(session.messages.at(-1)).toEqual({ role: "assistant", content: said });
});

test("sft: the first loss is that of the whole conversation, and samples draw no spare row", async () => {
  const data = [rows("talks.jsonl", [{ messages: recorded.talk.messages }])];
  const settings = { model: folder, data, validation: data, steps: 4, sampleEvery: 1, maxNewTokens: 20 };
  await run(sft, { ...settings, validationShare: undefined, output: at("sft") });
  const [first] = lines(at("sft/metrics.jsonl")).filter((row) => row.loss !== undefined);
  expect(first.loss).toBeCloseTo(recorded.talk.loss, 4);
  const [{ prompt }] = lines(at("sft/samples.jsonl"));
  expect(prompt).toBe("<s> [INST] hello [/INST]");
  checkWritten(at("sft/final"));
});

test("dpo: log-probabilities of answers in their conversations", async () => {
  await run(dpo, { model: folder, data: [pairs()], output: at("dpo") });
  const [first] = lines(at("dpo/metrics.jsonl")).filter((row) => row["logps/chosen"] !== undefined);
  const { chosen, rejected } = recorded.pair.logps;
  expect(first["logps/chosen"]).toBeCloseTo(chosen, 3);
  expect(first["logps/rejected"]).toBeCloseTo(rejected, 3);
  checkWritten(at("dpo/final"));
});

test("reward and ppo: padding ends no answer", async () => {
  await run(reward, { model: folder, data: [pairs()], output: at("reward") });
  const { pad_token_id: pad, ...config } = read(at("reward/final/config.json"));
  expect(config).toMatchObject({ bos_token_id: bos, eos_token_id: eos, vocab_size: 336 });
  expect(pad).toBe(0); // <unk>, as Llama 2's users have it
  expect(read(at("reward/final/tokenizer_config.json")).pad_token).toBe("<unk>");
  const prompts = [rows("prompts.jsonl", [{ prompt: "hello" }, { prompt: "the end?" }])];
  const settings = { answers: 2, batchSize: 2, maxNewTokens: 12, temperature: 3, output: at("ppo") };
  await run(ppo, { model: folder, reward: at("reward/final"), prompts, ...settings });
  checkWritten(at("ppo/final"));
});

test("finetune and predict: a classifier's inputs begin as texts do", async () => {
  const data = [
    rows(
      "labels.jsonl",
      [..."abcdefgh"].map((text, i) => ({ text, label: i % 2 })),
    ),
  ];
  await run(finetune, { task: "classification", model: folder, data, output: at("classes") });
  const tokenizer = await loadTokenizer(at("classes/final"));
  const [first, start] = tokenizer.frame(tokenizer.encode("a")).ids;
  expect([first, tokenizer.tokenOf(start ?? -1)]).toEqual([bos, "<|start|>"]);
  expect(read(at("classes/final/config.json"))).toMatchObject({
    bos_token_id: bos,
    eos_token_id: eos,
    pad_token_id: eos,
  });
  expect(read(at("classes/final/tokenizer_config.json")).pad_token).toBe("</s>");
  const given = { model: at("classes/final"), data, output: at("answers.jsonl"), threads: 1 };
  await runCommand(predict, given);
  expect(lines(at("answers.jsonl"))).toHaveLength(8);
});

test("sample, export and import: the same ids, text and ends come back", async () => {
  const prompts = [rows("asked.jsonl", [{ prompt: "hello" }])];
  await runCommand(sample, { model: folder, prompts, output: at("sampled.jsonl"), threads: 1, maxNewTokens: 20 });
  await runCommand(exportModel, { model: folder, output: at("x.gguf"), dtype: "F32" });
  await runCommand(importModel, { model: at("x.gguf"), output: at("back") });
  checkWritten(at("back"));
  const back = await openAssistant(at("back"), openReference());
  expect([...back.encoder.endTokens()].sort()).toEqual([eos, end]);
  const { tokenizer } = back.encoder;
  for (const { text, ids, bounded: framed } of recorded.texts) {
    expect([...tokenizer.encode(text)], text).toEqual(ids);
    const once = text.startsWith("<s>") ? framed.slice(1) : framed;
    expect([...bounded(tokenizer, tokenizer.encode(text))], text).toEqual(once);
  }
  expect([...back.encoder.encode(recorded.talk.messages).ids]).toEqual(recorded.talk.ids);
});
