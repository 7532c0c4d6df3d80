import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import type { TextPiece } from "./documents.ts";
import { endOfWord, nextEndOfWord, readDocuments } from "./documents.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-documents-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, contents: string): string {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
}

async function pieces(...files: string[]): Promise<TextPiece[]> {
  return Readable.from(readDocuments(files)).toArray();
}

function hasHalfCharacter(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}

test("a text file is one document, a row of a JSONL file another", async () => {
  const text = file("a.txt", "first\n\nstill the first\n");
  const jsonl = file("b.jsonl", '{"text":"second"}\n{"text":""}\n{"text":"third","more":1}\n');
  expect(await pieces(text, jsonl)).toEqual([
    { name: text, text: "first\n\nstill the first\n", last: true },
    { name: `${jsonl}, line 1`, text: "second", last: true },
    { name: `${jsonl}, line 3`, text: "third", last: true },
  ]);
});

test("a long file comes in pieces that end with words and make up the whole", async () => {
  const contents = "The quick brown fox, 12 of them. ".repeat(30_000);
  const found = await pieces(file("long.txt", contents));
  expect(found.length).toBeGreaterThan(2);
  expect(found.map(({ text }) => text).join("") === contents).toBe(true);
  expect(found.map(({ last }) => last)).toEqual(found.map((_, index) => index === found.length - 1));
  for (const { text } of found.slice(0, -1)) expect(text).toMatch(/[a-z]$/);
  for (const { text } of found.slice(1)) expect(text).toMatch(/^ /);
});

test("text without a blank is cut between characters", async () => {
  const contents = `x${"😀".repeat(400_000)}`;
  const found = await pieces(file("emoji.txt", contents));
  expect(found.length).toBeGreaterThan(1);
  expect(found.some(({ text }) => hasHalfCharacter(text))).toBe(false);
  expect(found.map(({ text }) => text).join("") === contents).toBe(true);
});

test.each([
  ["empty.txt", "\uFEFF", /empty\.txt: the file is empty/],
  ["empty.jsonl", '{"text":""}\n{"text":""}', /empty\.jsonl: every "text" is empty/],
  [
    "no-text.jsonl",
    '{"content":"a"}',
    /no-text\.jsonl, line 1: has no string column "text", it has "content" \(string\)/,
  ],
])("%s is refused", async (name, contents, message) => {
  await expect(pieces(file(name, contents))).rejects.toThrow(message);
});

test("places to cut never divide a character", () => {
  const text = fc.string({ unit: fc.constantFrom("a", " ", "\n", "é", "😀", "."), minLength: 3 });
  fc.assert(
    fc.property(text, fc.nat(), (value, number) => {
      const from = number % value.length;
      for (const place of [endOfWord(value), nextEndOfWord(value, from)]) {
        expect(hasHalfCharacter(value.slice(0, place))).toBe(false);
      }
      expect(nextEndOfWord(value, from)).toBeGreaterThanOrEqual(from);
    }),
  );
  expect(endOfWord("one two. three")).toBe("one two. three".indexOf("e two") + 1);
  expect(nextEndOfWord("one two. three four", 5)).toBe("one two. three".length);
});
