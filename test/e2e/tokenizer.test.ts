import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stemma } from "./stemma.ts";

const verse =
  "In the beginning God created the heaven and the earth. And the earth was without form, and void; naïve 🙂\n";
let folder = "";

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stemma-e2e-"));
  writeFileSync(join(folder, "genesis.txt"), verse.repeat(20));
  const trained = await stemma(
    ["tokenizer", "train", "--input", "genesis.txt", "--vocab_size=300", "--output", "tok"],
    {
      cwd: folder,
    },
  );
  expect(trained).toMatchObject({ code: 0, stderr: "" });
  expect(trained.stdout).toMatch(/^tokenizer train: 300 tokens from 2,\d{3} characters in .* written to tok\n$/);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

test("text becomes ids and text again", async () => {
  const text = "the heaven ☃ and <|endoftext|>";
  const encoded = await stemma(["tokenizer", "encode", "--tokenizer", "tok", "--text", text, "--json"], {
    cwd: folder,
  });
  const { ids, tokens } = JSON.parse(encoded.stdout);
  expect(ids.at(-1)).toBe(299);
  expect(tokens.slice(0, 2)).toEqual(["th", "e"]);
  const decoded = await stemma(["tokenizer", "decode", "--tokenizer", "tok", "--ids", ids.join(",")], { cwd: folder });
  expect(decoded).toEqual({ code: 0, stdout: text, stderr: "" });
});

test("commands are joined by pipes", async () => {
  const encoded = await stemma(["tokenizer", "encode", "--tokenizer", "tok"], { cwd: folder, input: verse });
  const decoded = await stemma(["tokenizer", "decode", "--tokenizer", "tok"], { cwd: folder, input: encoded.stdout });
  expect(decoded.stdout).toBe(verse);
  const json = await stemma(["tokenizer", "encode", "--tokenizer", "tok", "--json"], { cwd: folder, input: verse });
  const again = await stemma(["tokenizer", "decode", "--tokenizer", "tok"], { cwd: folder, input: json.stdout });
  expect(again).toEqual({ code: 0, stdout: verse, stderr: "" });
  const wrong = await stemma(["tokenizer", "decode", "--tokenizer", "tok"], { cwd: folder, input: '{"tokens":[]}' });
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('"ids" must be a list of whole numbers') });
});

test("rows without a text are left out of what is learnt where that is asked for, and counted", async () => {
  writeFileSync(join(folder, "rows.jsonl"), `${JSON.stringify({ text: verse.repeat(5) })}\n{"text": 1}\n{\n`);
  const args = ["tokenizer", "train", "--input", "rows.jsonl", "--vocab-size", "270", "--output", "rows"];
  expect(await stemma(args, { cwd: folder })).toMatchObject({ code: 1, stderr: expect.stringContaining("line 2") });
  const trained = await stemma([...args, "--bad-rows", "skip"], { cwd: folder });
  expect(trained).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/^left out 2 bad rows:\n.*line 2.*\n.*line 3/),
  });
});

test.each([
  ["characters", 28, "the heaven."],
  ["openai-gpt", 60, "the heaven"],
  ["wordpiece", 60, "the heaven."],
])("--kind %s is learnt and used", async (kind, tokens, text) => {
  const args = ["--input", "genesis.txt", "--kind", kind, "--vocab-size", "60", "--output", kind];
  const trained = await stemma(["tokenizer", "train", ...args, "--json"], { cwd: folder });
  expect(JSON.parse(trained.stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({ kind, vocabularySize: tokens });
  const encoded = await stemma(["tokenizer", "encode", "--tokenizer", kind, "--text", text], { cwd: folder });
  const decoded = await stemma(["tokenizer", "decode", "--tokenizer", kind], { cwd: folder, input: encoded.stdout });
  expect(decoded).toEqual({ code: 0, stdout: text, stderr: "" });
});

test("a tokenizer is not replaced by accident", async () => {
  const args = ["tokenizer", "train", "--input", "genesis.txt", "--output", "tok"];
  expect(await stemma(args, { cwd: folder })).toEqual({
    code: 2,
    stdout: "",
    stderr: "tokenizer train: tok already holds a tokenizer; choose another --output or add --overwrite\n",
  });
});

test.each([
  [["--text", "a", "--input", "b"], 2, "--text and --input are both given; give one of them"],
  [
    ["--tokenizer", "none", "--text", "a"],
    1,
    /none: has no tokenizer\.json, nor a SentencePiece model, nor vocab\.json/,
  ],
  [["--input", "missing.txt"], 1, "missing.txt: cannot read: it does not exist; check the path"],
])("tokenizer encode %j is refused in a line", async (args, code, message) => {
  const ended = await stemma(["tokenizer", "encode", "--tokenizer", "tok", ...args], { cwd: folder });
  expect(ended.code).toBe(code);
  expect(ended.stdout).toBe("");
  expect(ended.stderr).toMatch(/^tokenizer encode: .*\n$/);
  expect(ended.stderr).toMatch(message);
});
