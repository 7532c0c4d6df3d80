import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { PassThrough } from "node:stream";
import { afterAll, expect, test } from "vitest";
import { runCommand } from "../../test/run-command.ts";
import { openReference } from "../backend/reference/index.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { Random } from "../core/random.ts";
import { assistantContents } from "../generate/assistant.ts";
import { families } from "../models/index.ts";
import { Initializer } from "../nn/parameters.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { ChatTemplate, chatMl, chatMlTokens } from "../text/chat-template.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { chat } from "./chat.ts";
import type { Command } from "./command.ts";
import { rank } from "./rank.ts";
import { sample } from "./sample.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-people-"));
afterAll(() => rmSync(root, { recursive: true }));
const at = (name: string): string => join(root, name);

/** Runs a command with what is typed, and gives what is shown. */
async function run(command: Command, given: object, typed: readonly string[] | Readable = []): Promise<string> {
  return (await runCommand(command, given, typed)).shown;
}

const rows = (name: string): { prompt: string; completions: string[]; ranks: number[] }[] =>
  readFileSync(at(name), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

const samples = ["Q", "R", "S"].map((prompt) => ({ prompt, completions: ["first", "second", "third"] }));
writeFileSync(at("samples.jsonl"), samples.map((row) => `${JSON.stringify(row)}\n`).join(""));

/** Numbers under which answers are shown, by their text. */
function shownAs(text: string, prompt: string): Record<string, number> {
  const part = text.slice(text.indexOf(`──\n${prompt}\n`));
  return Object.fromEntries(
    [...part.matchAll(/ {2}(\d)\. (\w+)/g)].slice(0, 3).map(([, n, word]) => [word, Number(n)]),
  );
}

test("what is typed is in the order shown, what is written in the order of the answers", async () => {
  const shown = await run(rank, { samples: at("samples.jsonl"), output: at("a.jsonl") }, [
    "3 1=2",
    "s",
    "nonsense",
    "q",
  ]);
  const numbers = shownAs(shown, "Q");
  const [only, ...more] = rows("a.jsonl");
  expect(more).toEqual([]);
  expect(only?.ranks).toEqual(samples[0]?.completions.map((word) => (numbers[word] === 3 ? 1 : 2)));
  expect(shown).toContain("type the numbers of the answers, best first");
  expect(shown).toContain("1 ranking in");
  expect(shown).toContain("2 of 3 prompts left");
});

test("it goes on where it stopped, in the same order, and undo takes a decision back", async () => {
  const settings = { samples: at("samples.jsonl"), output: at("b.jsonl") };
  const first = await run(rank, settings, ["1 2 3", "q"]);
  const second = await run(rank, settings, ["1 2 3", "u", "3 2 1", "1 2 3"]);
  expect(second).not.toContain("──\nQ\n");
  expect(shownAs(first, "R")).toEqual(shownAs(second, "R"));
  const numbers = shownAs(second, "R");
  const written = rows("b.jsonl");
  expect(written.map(({ prompt }) => prompt)).toEqual(["Q", "R", "S"]);
  expect(written[1]?.ranks).toEqual(samples[1]?.completions.map((word) => 4 - (numbers[word] ?? 0)));
});

test("samples that cannot be ranked are left out where that is asked for", async () => {
  writeFileSync(at("bad.jsonl"), `${JSON.stringify(samples[0])}\n{"prompt": "R", "completions": ["one"]}\n`);
  const settings = { samples: at("bad.jsonl"), output: at("d.jsonl") };
  await expect(run(rank, settings, ["q"])).rejects.toThrow("bad.jsonl, line 2: must have");
  const shown = await run(rank, { ...settings, badRows: "skip" }, ["1 2 3"]);
  expect(shown).toMatch(/left out 1 bad row:\n.*line 2: must have/);
  expect(rows("d.jsonl")).toHaveLength(1);
});

test("a terminal is left alone when ranking ends, so that the process can", async () => {
  const terminal = new PassThrough();
  terminal.write("q\n");
  await run(rank, { samples: at("samples.jsonl"), output: at("c.jsonl") }, terminal);
  expect(terminal.isPaused()).toBe(true);
});

test("sampling and chatting with a model", async () => {
  const tokenizer = trainByteLevelBpe(["hello there user assistant ".repeat(30)], { vocabularySize: 280 });
  const encoder = new ChatEncoder(tokenizer.withSpecialTokens([...chatMlTokens]), new ChatTemplate(chatMl));
  const sizes = { context: 64, width: 8, layers: 1, heads: 1, dropout: 0 };
  const shape = { ...sizes, vocabularySize: encoder.tokenizer.vocabularySize };
  const model = families.gpt2.create(families.gpt2.shaped(shape), new Initializer(openReference(), new Random(1)));
  await writeModelFolder(at("model"), assistantContents({ model, family: families.gpt2, encoder }));
  writeFileSync(at("prompts.jsonl"), '{"prompt": "hello"}\n{"prompt": "there"}\n');
  writeFileSync(at("bad-prompts.jsonl"), '{"prompt": "hello"}\n{"prompt": 3}\n{"prompt": "there"}\n{\n');
  const common = { model: at("model"), maxNewTokens: 6, threads: 1 };
  await run(sample, { ...common, prompts: [at("prompts.jsonl")], answers: 3, output: at("sampled.jsonl") });
  const sampled = rows("sampled.jsonl");
  expect(sampled.map(({ prompt }) => prompt)).toEqual(["hello", "there"]);
  for (const { completions } of sampled) expect(new Set(completions).size).toBe(3);
  const again = run(sample, { ...common, prompts: [at("prompts.jsonl")], output: at("sampled.jsonl") });
  await expect(again).rejects.toThrow("sampled.jsonl exists already; choose another --output");
  const bad = { ...common, prompts: [at("bad-prompts.jsonl")], answers: 3, output: at("sampled-bad.jsonl") };
  await expect(run(sample, bad)).rejects.toThrow('bad-prompts.jsonl, line 2: column "prompt"');
  expect(await run(sample, { ...bad, badRows: "skip" })).toMatch(/left out 2 bad rows:\n.*line 2.*\n.*line 4/);
  expect(rows("sampled-bad.jsonl")).toEqual(sampled);
  const long = { model: at("model"), threads: 1, answers: 1, output: at("long.jsonl") };
  await run(sample, { ...long, prompts: [at("prompts.jsonl")] });
  expect(rows("long.jsonl")).toHaveLength(2);

  const talk = ["hello", "/retry", `/save ${at("talk.jsonl")}`, "/reset", "/what", "/quit"];
  const shown = await run(chat, { ...common, system: "there" }, talk);
  expect(shown).toContain("forgotten");
  const saved = JSON.parse(readFileSync(at("talk.jsonl"), "utf8")) as { messages: { role: string; content: string }[] };
  expect(saved.messages.map(({ role }) => role)).toEqual(["system", "user", "assistant"]);
  expect(shown).toContain(saved.messages[2]?.content);
  const terminal = new PassThrough();
  terminal.write("/quit\n");
  await run(chat, common, terminal);
  expect(terminal.isPaused()).toBe(true);
  const once = await run(chat, { ...common, message: "hello" });
  expect(once.trim().length).toBeGreaterThan(0);

  const config = { do_sample: false, max_new_tokens: 3 };
  writeFileSync(at("model/generation_config.json"), JSON.stringify(config));
  const recommended = async (seed: number): Promise<string> =>
    await run(chat, { model: at("model"), message: "hello", threads: 1, seed });
  const answer = await recommended(1);
  expect(answer).toContain("temperature 0, max-new-tokens 3: as the model's generation_config.json says");
  expect(await recommended(2)).toBe(answer);
});
