import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { DataError } from "../core/errors.ts";
import type { EmbeddingColumns } from "./embedding-rows.ts";
import { readEmbeddingRows } from "./embedding-rows.ts";

const root = mkdtempSync(join(tmpdir(), "embedding-rows-"));
afterAll(() => rmSync(root, { recursive: true }));

let files = 0;
async function read(rows: readonly object[], columns: EmbeddingColumns = { texts: [], score: null }) {
  const path = join(root, `${files++}.jsonl`);
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return (await readEmbeddingRows([path], columns)).map(({ texts, score }) => [...texts, score]);
}

test("layouts are known by their columns, or named", async () => {
  expect(await read([{ anchor: "a", positive: "b" }])).toEqual([["a", "b", null]]);
  expect(await read([{ anchor: "a", positive: "b", negative_1: "c", negative_2: "d" }])).toEqual([
    ["a", "b", "c", "d", null],
  ]);
  expect(await read([{ sentence1: "a", sentence2: "b", score: "0.5" }])).toEqual([["a", "b", 0.5]]);
  expect(await read([{ q: "a", p: "b", s: 1 }], { texts: ["q", "p"], score: null })).toEqual([["a", "b", null]]);
  expect(await read([{ q: "a", p: "b", s: 1 }], { texts: ["q", "p"], score: "s" })).toEqual([["a", "b", 1]]);
  expect(await read([{ sentence1: "a", sentence2: "b", s: 2 }], { texts: [], score: "s" })).toEqual([["a", "b", 2]]);
});

test.each([
  [[{ text: "a" }], "none of the known layouts: sentence1, sentence2, score; anchor, positive, negative…"],
  [[{ anchor: "a", positive: " " }], 'column "positive"'],
  [[{ sentence1: "a", sentence2: "b", score: "high" }], 'column "score"'],
  [
    [
      { anchor: "a", positive: "b", negative: "c" },
      { anchor: "a", positive: "b" },
    ],
    "has 2 texts, the first row 3",
  ],
])("%j is refused", async (rows, message) => {
  await expect(read(rows)).rejects.toThrow(DataError);
  await expect(read(rows)).rejects.toThrow(message);
});
