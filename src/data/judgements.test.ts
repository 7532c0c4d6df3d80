import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readJudgements } from "./judgements.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-judgements-"));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

test("labels of JSON and CSV, and the best answer of a ranking against the others", async () => {
  const json = write(
    "a.jsonl",
    '{"prompt":"p","completion":"yes","label":true}\n{"prompt":"p","completion":"no","label":0}\n',
  );
  const csv = write("b.csv", "prompt,completion,label\nq,good,True\nq,bad,false\n");
  const ranked = write("c.jsonl", '{"prompt":"r","completions":["b","a","c"],"ranks":[2,1,3]}\n');
  const pair = write("d.jsonl", '{"prompt":"s","chosen":"x","rejected":"y"}\n');
  const read = await readJudgements([json, csv, ranked, pair]);
  expect(read.map(({ answer, isDesirable }) => [answer.content, isDesirable])).toEqual([
    ...[
      ["yes", true],
      ["no", false],
      ["good", true],
      ["bad", false],
    ],
    ...[
      ["b", false],
      ["a", true],
      ["c", false],
      ["x", true],
      ["y", false],
    ],
  ]);
});

test("a label that is none is refused with its row", async () => {
  const path = write("e.jsonl", '{"prompt":"p","completion":"yes","label":"maybe"}\n');
  await expect(readJudgements([path])).rejects.toThrow(
    'e.jsonl, line 1: column "label" must be true (a wanted answer) or false, it is "maybe"',
  );
});
