import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseOrder, RankingFile } from "./ranking-file.ts";
import { readRankings } from "./rankings.ts";

test.each<[string, number, readonly number[] | RegExp]>([
  ["2 1 3", 3, [2, 1, 3]],
  ["213", 3, [2, 1, 3]],
  ["2=1 3", 3, [1, 1, 2]],
  ["3, 1 = 4, 2", 4, [2, 3, 1, 2]],
  ["31=42", 4, [2, 3, 1, 2]],
  ["10 9 8 7 6 5 4 3 2 1", 10, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]],
  ["2 1", 3, /answer 3 is missing/],
  ["2 1 1", 3, /answer 1 is there twice/],
  ["2 1 4", 3, /there is no answer 4/],
  ["1=2=3", 3, /all answers are equal/],
  ["best first", 3, /type the numbers/],
])("%s among %i", (text, count, expected) => {
  const ranks = parseOrder(text, count);
  if (expected instanceof RegExp) expect(ranks).toMatch(expected);
  else expect(ranks).toEqual(expected);
});

test("a ranking interrupted goes on where it stopped, and the last decision can be undone", async () => {
  const path = join(mkdtempSync(join(tmpdir(), "stemma-rank-")), "rankings.jsonl");
  const [first, second] = ["Q", "R"].map((prompt) => ({ prompt, completions: ["a", "b"] }));
  const file = await RankingFile.open(path);
  await file.append(first!, [2, 1]);
  await file.append(second!, [1, 2]);
  const again = await RankingFile.open(path);
  expect([again.length, again.has(first!), again.has(second!)]).toEqual([2, true, true]);
  await again.undo();
  expect([again.has(first!), again.has(second!)]).toEqual([true, false]);
  expect(readFileSync(path, "utf8").split("\n")).toHaveLength(2);
  expect((await readRankings([path]))[0]?.ranks).toEqual([2, 1]);
});
