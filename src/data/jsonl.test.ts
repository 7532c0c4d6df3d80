import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { DataError } from "../core/errors.ts";
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
    expect((await rows(path)).map((row) => stringColumn(row, "text") === texts[row.line - 1])).toEqual(
      texts.map(() => true),
    );
  }
});

test.each([
  ['{"text":"a"}\n{"text":', /bad\.jsonl, line 2: is not JSON \(.+\); correct or remove the line/],
  ['[\n{"text":"a"}\n]', /line 1: is not JSON .+ JSON array: write its items one a line/],
  ['[{"text":"a"}]', /line 1: is a JSON array, a row must be an object/],
  ["null", /line 1: is a JSON null/],
  ["\n \n", /bad\.jsonl: has no rows/],
])("refuses %j", async (contents, message) => {
  const reading = rows(file("bad.jsonl", contents));
  await expect(reading).rejects.toThrow(message);
  await expect(reading).rejects.toThrow(DataError);
});

test("a missing column names the columns that there are", async () => {
  const [row] = await rows(file("columns.jsonl", '{"prompt":"a","label":true,"turns":[],"text":7}'));
  expect(() => stringColumn(row!, "text")).toThrow(
    /columns\.jsonl, line 1: has no string column "text", it has "prompt" \(string\), "label" \(boolean\), "turns" \(array\), "text" \(number\)/,
  );
});
