import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { PairColumns, TextPairRow } from "./text-pair-rows.ts";
import { readTextPairs } from "./text-pair-rows.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-pairs-"));
afterAll(() => rmSync(root, { recursive: true }));

async function read(row: object, columns: Partial<PairColumns> = {}): Promise<TextPairRow[]> {
  const path = join(root, "rows.jsonl");
  writeFileSync(path, `${JSON.stringify(row)}\n`);
  return readTextPairs([path], { source: null, target: null, ...columns });
}

test.each([
  [{ id: 1, source: "a", target: "b" }, {}],
  [{ translation: { de: "a", en: "b" } }, {}],
  [{ translation: { en: "b", de: "a", fr: "c" } }, { source: "de", target: "en" }],
  [{ translation: { en: "b", de: "a" } }, { source: "de" }],
  [{ document: "a", summary: "b" }, {}],
  [
    { english: "b", german: "a", note: "x" },
    { source: "german", target: "english" },
  ],
  [{ source: "b", target: "a" }, { source: "target" }],
])("%j with %j is a pair", async (row, columns) => {
  expect(await read(row, columns)).toMatchObject([{ source: "a", target: "b" }]);
});

test.each([
  [{ one: "a", two: "b", three: "c" }, {}, 'has columns "one", "two", "three", of which none are known to be a pair'],
  [{ source: "a", target: " " }, {}, 'column "target" must be a text that is not empty, it is " "'],
  [{ source: "a", target: 3 }, {}, 'column "target" must be a text that is not empty, it is 3'],
  [{ source: "a", target: "b" }, { target: "de" }, 'has no column "de", but "source", "target"; name it with --target'],
])("%j with %j is refused", async (row, columns, message) => {
  await expect(read(row, columns)).rejects.toThrow(message);
});
