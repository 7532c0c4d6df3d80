import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCommand } from "../../test/run-command.ts";
import { writeSmallEncoder } from "../../test/small-encoder.ts";
import { embed } from "./embed.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-embed-command-"));
const at = (name: string): string => join(root, name);
afterAll(() => rmSync(root, { recursive: true }));
beforeAll(async () => {
  await writeSmallEncoder(at("bert"));
  writeFileSync(at("texts.txt"), "the heaven\n\nthe earth\nthe void\n");
  writeFileSync(at("texts.csv"), "id,question\n1,the heaven\n2,the earth\n3,the void\n");
});
const run = (given: object, typed: readonly string[] = []): ReturnType<typeof runCommand> =>
  runCommand(embed, { model: at("bert"), threads: 1, ...given }, typed);

test("texts of any source are embedded alike, and searched", async () => {
  const { result } = await run({ text: ["the heaven", "the earth", "the void"] });
  const { embeddings } = result as { embeddings: number[][] };
  expect(embeddings.map(({ length }) => length)).toEqual([32, 32, 32]);
  expect((await run({ input: [at("texts.txt")] })).result).toEqual(result);
  expect((await run({ input: [at("texts.csv")], column: "question" })).result).toEqual(result);
  expect((await run({}, ["the heaven", "the earth", "the void"])).result).toEqual(result);
  await run({ input: [at("texts.txt")], output: at("texts.jsonl") });
  const lines = readFileSync(at("texts.jsonl"), "utf8").trimEnd().split("\n");
  expect(JSON.parse(lines[1] ?? "")).toEqual({ text: "the earth", embedding: embeddings[1] });
  const found = await run({ input: [at("texts.txt")], query: "the void", top: 2 });
  expect(found.result).toMatchObject({ found: [{ text: "the void", similarity: 1, index: 2 }, {}] });
  expect(found.shown).toContain("  1.0000  the void\n");
});

test("rows without a text are refused by their names, or left out and counted", async () => {
  writeFileSync(at("bad.jsonl"), '{"text":"the heaven"}\n{"text":" "}\n{"other":1}\n{"text":"the earth"}\n');
  const input = [at("bad.jsonl")];
  await expect(run({ input })).rejects.toThrow(/bad\.jsonl, line 2: column "text" must be a text that is not empty/);
  const { result, shown } = await run({ input, badRows: "skip" });
  expect(shown).toMatch(/left out 2 bad rows:\n.*line 2.*\n.*line 3/);
  const { result: good } = await run({ text: ["the heaven", "the earth"] });
  expect(result).toEqual(good);
  writeFileSync(at("bad.jsonl"), '{"text":""}\n');
  await expect(run({ input, badRows: "skip" })).rejects.toThrow("data: the only row is bad");
});

test("a file may have more lines than a call has arguments", async () => {
  writeFileSync(at("many.txt"), "a\n".repeat(200_000));
  // Whatever comes after the texts were read is enough to know that they were.
  await expect(run({ input: [at("many.txt")], model: "nowhere" })).rejects.toThrow("nowhere: there is no such folder");
});

test("two texts are compared", async () => {
  expect((await run({ text: ["the void", "the void"] })).shown).toMatch(/cosine similarity 1\.0000\n$/);
});

test.each([
  [{ text: ["a"], input: ["b.txt"] }, "--text and --input are both given"],
  [{ text: ["a", ""] }, "--text: is empty"],
  [{ text: ["a"], query: " " }, "--query: is empty"],
  [{ text: ["a"], output: "a.csv" }, "ends neither in .npy nor in .jsonl"],
  [{ text: ["a"], output: "a.npy", query: "b" }, "leave out --output, or --query"],
  [{ text: ["a"], promptName: "query" }, 'no prompt "query"; it has none: give the text with --prompt'],
  [{ text: ["a"], model: "nowhere" }, "nowhere: there is no such folder"],
  [{ text: ["a"], model: "model.gguf" }, "not with a GGUF file; give its folder"],
])("%j is refused", async (given, message) => {
  await expect(run(given)).rejects.toThrow(message);
});
