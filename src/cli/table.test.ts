import { expect, test } from "vitest";
import type { Column } from "./table.ts";
import { tableLines } from "./table.ts";

const columns: readonly Column[] = [
  { side: "left", least: 6, keeps: "end" },
  { side: "right", dropped: 1 },
  { side: "left", least: 4, dropped: 2 },
];
const rows = [
  ["run", "size", "differs in"],
  ["runs/first", "137k", "width 64"],
  ["runs/b", "2M", "width 128"],
];

test("columns are as wide as their widest cell where there is room", () => {
  expect(tableLines(rows, columns)).toEqual([
    "run         size  differs in",
    "runs/first  137k  width 64",
    "runs/b        2M  width 128",
  ]);
  expect(tableLines(rows, columns, 28)).toEqual(tableLines(rows, columns));
});

test("the widest cells are shortened first, each at the end that says less", () => {
  expect(tableLines(rows, columns, 24)).toEqual([
    "run       size  differs…",
    "…s/first  137k  width 64",
    "runs/b      2M  width 1…",
  ]);
});

test("columns that matter less are left out, one after the other", () => {
  expect(tableLines(rows, columns, 17)).toEqual(["run         size", "runs/first  137k", "runs/b        2M"]);
  expect(tableLines(rows, columns, 8)).toEqual(["run", "…s/first", "runs/b"]);
  expect(tableLines(rows, columns, 2)).toEqual(["run", "…first", "runs/b"]);
});
