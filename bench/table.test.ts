import { expect, test } from "vitest";
import { formatNumber, formatRatio, formatShare, formatTable, median } from "./table.ts";

test("words stand left and numbers right, under headings as wide as their columns", () => {
  const rows = [
    ["S", "12", "3"],
    ["a name", "1,234", ""],
  ];
  expect(formatTable(["<shape", "step ms", "n"], rows)).toEqual([
    "shape   step ms  n",
    "──────  ───────  ─",
    "S            12  3",
    "a name    1,234",
  ]);
});

test.each([
  [1234.5, "1,235"],
  [123.4, "123"],
  [12.34, "12.3"],
  [1.234, "1.23"],
  [0.01234, "0.0123"],
  [Number.NaN, "–"],
])("%d is written %s", (value, text) => {
  expect(formatNumber(value)).toBe(text);
});

test("shares and ratios", () => {
  expect([formatShare(0.654), formatRatio(2.345), formatRatio(null)]).toEqual(["65 %", "2.35×", "–"]);
});

test.each([
  [[3, 1, 2], 2],
  [[4, 1, 3, 2], 2.5],
  [[7], 7],
])("the median of %j is %d", (values, expected) => {
  expect(median(values)).toBe(expected);
});
