import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { DataError } from "../core/errors.ts";
import { BadRows } from "./bad-rows.ts";
import type { JsonlRow } from "./jsonl.ts";
import { readJsonl, stringColumn } from "./jsonl.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-jsonl-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, contents: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
}

async function rows(path: string): Promise<JsonlRow[]> {
  return Readable.from(readJsonl(path)).toArray();
}

test("reads rows through a byte order mark, CRLF, blank lines and a missing last line end", async () => {
  const path = file("a.jsonl", '\uFEFF{"text":"one"}\r\n\r\n  \n{"text":"two\\n"}\r\n{"n":3}');
  expect((await rows(path)).map(({ line, value }) => [line, value])).toEqual([
    [1, { text: "one" }],
    [4, { text: "two\n" }],
    [5, { n: 3 }],
  ]);
});

test("reads rows that lie across many pieces of the file, compressed or not", async () => {
  const texts = [..."aé漢😀"].map((character) => character.repeat(200_000));
  const contents = texts.map((text) => JSON.stringify({ text })).join("\n");
  for (const path of [file("long.jsonl", contents), file("long.jsonl.gz", gzipSync(contents))]) {
    expect((await rows(path)).map((row) => stringColumn(row, "text", "--text-column") === texts[row.line - 1])).toEqual(
      texts.map(() => true),
    );
  }
});

test.each([
  ['{"text":"a"}\n{"text":', /bad\.jsonl, line 2: is not JSON \(.+\); correct or remove the row/],
  ['[{"text":"a"},\n 7]', /bad\.jsonl, line 2: is a JSON number, a row must be an object/],
  ['[{"text":"a"},\n{"text":]', /bad\.jsonl, line 2: ends in the middle of its JSON array; fetch or write it again/],
  ['[{"text":"a"}] []', /bad\.jsonl, line 1: has something behind its JSON array/],
  ['[{"text":"a"}] x', /bad\.jsonl, line 1: has something behind its JSON array/],
  ["[\n]", /bad\.jsonl: has no rows/],
  ["null", /line 1: is a JSON null/],
  ["\n \n", /bad\.jsonl: has no rows/],
])("refuses %j", async (contents, message) => {
  const reading = rows(file("bad.jsonl", contents));
  await expect(reading).rejects.toThrow(message);
  await expect(reading).rejects.toThrow(DataError);
});

test("a missing column names the columns that there are", async () => {
  const [row] = await rows(file("columns.jsonl", '{"prompt":"a","label":true,"turns":[],"text":7}'));
  expect(() => stringColumn(row!, "text", "--text-column")).toThrow(
    /columns\.jsonl, line 1: column "text" is no string, it has "prompt" \(string\), "label" \(boolean\), "turns" \(array\), "text" \(number\); name one with --text-column$/,
  );
  const [empty] = await rows(file("null.jsonl", '{"text":null}\n'));
  expect(() => stringColumn(empty!, "text", "--text-column")).toThrow(
    /line 1: column "text" is no string, it has "text" \(null\); correct or remove the row$/,
  );
});

test("reads an array of objects as JSON.parse does, wherever the pieces of the file are cut", async () => {
  const items = Array.from({ length: 400 }, (_, i) => ({
    text: `"\\"${"\\".repeat(i % 7)},]}[{ ${"é😀".repeat(i * 3)}\n`,
    inner: { list: [i, [], {}, '"'], none: null },
  }));
  for (const contents of [JSON.stringify(items), `\n ${JSON.stringify(items, null, 2)}\n`]) {
    const read = await rows(file("array.json", gzipSync(contents)));
    expect(read.map(({ value }) => value)).toEqual(items);
  }
  const pretty = await rows(file("pretty.json", JSON.stringify([{ a: 1 }, { b: 2 }], null, 2)));
  expect(pretty.map(({ where }) => where.split(", ").at(-1))).toEqual(["line 2", "line 5"]);
});

test("bad rows are left out, counted and named where that is asked for", async () => {
  const bad = new BadRows("skip");
  const path = file("some.jsonl", '{"n":1}\nnot json\n[3]\n{"n":4}\n7\n{"n":6');
  const read = await Readable.from(readJsonl(path, bad)).toArray();
  expect(read.map(({ line, value }) => [line, value])).toEqual([
    [1, { n: 1 }],
    [4, { n: 4 }],
  ]);
  expect(bad.count).toBe(4);
  expect(bad.notes()).toEqual([
    "left out 4 bad rows:",
    expect.stringMatching(/some\.jsonl, line 2: is not JSON/),
    expect.stringMatching(/some\.jsonl, line 3: is a JSON array/),
    expect.stringMatching(/some\.jsonl, line 5: is a JSON number/),
    "  and 1 more",
  ]);
});
