import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseOrder, RankingFile } from "./ranking-file.ts";
import { readRankings } from "./rankings.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stemma-rank-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

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
  const path = join(folder, "rankings.jsonl");
  const [first, second] = ["Q", "R"].map((prompt) => ({ prompt, completions: ["a", "b"] }));
  const file = await RankingFile.open(path);
  await file.append(first!, [2, 1]);
  await file.append(second!, [1, 2]);
  await file.close();
  const again = await RankingFile.open(path);
  expect([again.length, again.has(first!), again.has(second!)]).toEqual([2, true, true]);
  await again.undo();
  expect([again.has(first!), again.has(second!)]).toEqual([true, false]);
  expect(readFileSync(path, "utf8").split("\n")).toHaveLength(2);
  expect((await readRankings([path]))[0]?.ranks).toEqual([2, 1]);
  await again.close();
});

test("while a decision is taken back the file is whole at every moment", async () => {
  const path = join(folder, "rankings.jsonl");
  const file = await RankingFile.open(path);
  for (const prompt of ["Q", "R"]) await file.append({ prompt, completions: ["a", "b"] }, [2, 1]);
  const reader = openSync(path, "r");
  await file.undo();
  expect(readFileSync(reader, "utf8").split("\n")).toHaveLength(3); // the file that was there stays as it was
  expect(readFileSync(path, "utf8").split("\n")).toHaveLength(2);
  closeSync(reader);
  await file.close();
});

test("a file of other rows is not added to", async () => {
  const path = join(folder, "talks.jsonl");
  writeFileSync(path, '{"prompt":"a","completion":"b"}\n');
  await expect(RankingFile.open(path)).rejects.toThrow("line 1: is no ranking; choose another file to add to");
});

test("nobody else writes a file that is open", async () => {
  const path = join(folder, "rankings.jsonl");
  const file = await RankingFile.open(path);
  const message = `rankings.jsonl is being written by process ${process.pid}; wait for it or choose another --output`;
  await expect(RankingFile.open(path)).rejects.toThrow(message);
  await file.close();
  await (await RankingFile.open(path)).close();
  expect(readdirSync(folder)).toEqual([]);
});

test("a line that was cut short is taken away when the file is opened, one that only lacks its end is kept", async () => {
  const path = join(folder, "rankings.jsonl");
  const file = await RankingFile.open(path);
  const [first, second] = ["é", "R"].map((prompt) => ({ prompt, completions: ["a", "b"] }));
  await file.append(first!, [2, 1], { id: "one", rater: "Ada", seconds: 1.5, shown: [1, 0], ratedAt: "2026-01-02" });
  await file.close();
  const whole = readFileSync(path, "utf8");
  writeFileSync(path, `${whole}{"prompt":"R","comp`);
  const mended = await RankingFile.open(path);
  expect([mended.wasMended, mended.length, mended.named("one")?.ratedAt]).toEqual([true, 1, "2026-01-02"]);
  expect(readFileSync(path, "utf8")).toBe(whole);
  await mended.append(second!, [1, 2], { id: "two" });
  expect((await mended.undo("one"))?.rater).toBe("Ada");
  expect(await mended.undo("one")).toBeNull();
  await mended.close();
  writeFileSync(path, readFileSync(path, "utf8").trimEnd());
  const unended = await RankingFile.open(path);
  await unended.append(first!, [1, 2]);
  expect([unended.wasMended, unended.rankings.map(({ prompt }) => prompt)]).toEqual([false, ["R", "é"]]);
  await unended.close();
  expect((await readRankings([path])).map(({ ranks }) => ranks)).toEqual([
    [1, 2],
    [1, 2],
  ]);
});
