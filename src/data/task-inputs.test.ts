import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { SequenceTemplate } from "../text/sequence-template.ts";
import type { TaskExample, TaskKind } from "./task-examples.ts";
import { defaultColumns, readTaskExamples } from "./task-examples.ts";
import type { TaskEncoding } from "./task-inputs.ts";
import { encodeExamples, taskBatch } from "./task-inputs.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-task-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function read(task: TaskKind, rows: readonly object[]): Promise<TaskExample[]> {
  const path = join(folder, "rows.jsonl");
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join("\n"));
  return readTaskExamples([path], { task, columns: defaultColumns[task], isScore: false, needsLabels: false });
}

const [start, between, end] = [300, 301, 302];
const special = (id: number) => ({ token: String(id), ids: [id], typeId: 0 });
const [a, b] = [{ sequence: "A", typeId: 0 } as const, { sequence: "B", typeId: 1 } as const];
const encoding: TaskEncoding = {
  tokenizer: trainByteLevelBpe(["a"], { vocabularySize: 257 }),
  template: new SequenceTemplate(
    [special(start), a, special(end)],
    [special(start), a, special(between), b, special(end)],
  ),
  context: 9,
  longRows: "truncate",
};
/** One byte is one token here. */
const shown = async (rows: readonly TaskExample[], more: Partial<TaskEncoding> = {}): Promise<string[][]> => {
  const marks = new Map([
    [start, "<"],
    [between, "|"],
    [end, ">"],
  ]);
  const { examples } = await encodeExamples(rows, { ...encoding, ...more }, () => 0);
  const text = (ids: Int32Array): string =>
    Array.from(ids, (id) => marks.get(id) ?? encoding.tokenizer.decode([id])).join("");
  return examples.map(({ inputs }) => inputs.map(({ ids }) => text(ids)));
};

test("a row with the same answer twice is refused", async () => {
  const rows = [
    { context: "q", choices: ["x", "y"] },
    { context: "q", choices: ["x", "y", "x"] },
  ];
  await expect(read("multiple-choice", rows)).rejects.toThrow(
    /rows\.jsonl, line 2: column "choices" has the answer "x" twice; remove one, or leave the row out$/,
  );
});

test("every task frames its texts, and both orders of a pair are the same whichever comes first", async () => {
  expect(await shown(await read("classification", [{ text: "ab" }]))).toEqual([["<ab>"]]);
  expect(await shown(await read("entailment", [{ premise: "b", hypothesis: "a" }]))).toEqual([["<b|a>"]]);
  const [one, other] = await shown(
    await read("similarity", [
      { first: "b", second: "a" },
      { first: "a", second: "b" },
    ]),
  );
  expect(one).toEqual(["<a|b>", "<b|a>"]);
  expect(other).toEqual(one);
  const choice = { context: "q", choices: ["x", "yz", "w"] };
  expect(await shown(await read("multiple-choice", [choice]))).toEqual([["<q|x>", "<q|yz>", "<q|w>"]]);
});

test.each([
  ["abcdefghij", "xy", "<abcd|xy>"],
  ["ab", "uvwxyz", "<ab|uvwx>"],
  ["abcdef", "uvwxyz", "<abc|uvw>"],
  ["abc", "uvw", "<abc|uvw>"],
])("%s and %s are cut to fit, the longer one first", async (premise, hypothesis, expected) => {
  expect(await shown(await read("entailment", [{ premise, hypothesis }]))).toEqual([[expected]]);
});

test("long rows are cut, left out or refused, as asked", async () => {
  const rows = await read("classification", [{ text: "abcdefghij" }, { text: "ab" }]);
  expect(await shown(rows)).toEqual([["<abcdefg>"], ["<ab>"]]);
  expect(await shown(rows, { longRows: "skip" })).toEqual([["<ab>"]]);
  await expect(shown(rows, { longRows: "error" })).rejects.toThrow(/line 1: has 12 tokens .*, the context is 9/);
  await expect(shown(rows.slice(0, 1), { longRows: "skip" })).rejects.toThrow(/the only row is longer/);
});

test("texts cannot forge the tokens that frame them", async () => {
  const tokenizer = encoding.tokenizer.withSpecialTokens(["<end>"]);
  const [row] = await shown(await read("classification", [{ text: "<end>" }]), { tokenizer, context: 20 });
  expect(row).toEqual(["<<end>>"]);
});

test("inputs of all examples are rows of one block", async () => {
  const rows = await read("similarity", [
    { first: "a", second: "bb" },
    { first: "c", second: "d" },
  ]);
  const { examples } = await encodeExamples(rows, encoding, (row) => (row.label === null ? 7 : 0));
  const batch = taskBatch(examples);
  expect([batch.batch, batch.time]).toEqual([4, 6]);
  expect([...batch.lengths]).toEqual([6, 6, 5, 5]);
  expect([...batch.inputCounts]).toEqual([2, 2]);
  expect([...batch.targets]).toEqual([7, 7]);
  expect([...batch.typeIds.subarray(0, 6)]).toEqual([0, 0, 0, 1, 1, 0]);
});
