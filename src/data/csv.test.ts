import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { BadRows } from "./bad-rows.ts";
import { readCsv } from "./csv.ts";
import { readRecords } from "./records.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-csv-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function rowsOf(name: string, contents: string | Uint8Array): Promise<[number, unknown][]> {
  const path = join(folder, name);
  writeFileSync(path, contents);
  const rows = await Readable.from(readRecords([path])).toArray();
  return rows.map(({ line, value }) => [line, { ...value }]);
}

test("reads quotes, line ends inside values, a byte order mark and CRLF", async () => {
  const text = '\uFEFFtext,label\r\n"He said ""no"", twice",bad\r\n\r\n"two\nlines",good\r\n';
  expect(await rowsOf("a.csv", text)).toEqual([
    [2, { text: 'He said "no", twice', label: "bad" }],
    [5, { text: "two\nlines", label: "good" }],
  ]);
});

test("reads tabs and compressed files", async () => {
  expect(await rowsOf("a.tsv.gz", gzipSync("a\tb\n1,5\tx\n"))).toEqual([[2, { a: "1,5", b: "x" }]]);
});

test.each([
  ["semicolons", 'text;label\n"one; two, three";a\n'],
  ["tabs", "text\tlabel\r\none; two, three\ta\r\n"],
  ["semicolons after an empty line", '\n"text";label\n"one; two, three";a\n'],
])("takes the separator from the first line: %s", async (_, contents) => {
  expect(await rowsOf("own.csv", contents)).toMatchObject([
    [expect.any(Number), { text: "one; two, three", label: "a" }],
  ]);
});

test("a comma in the first line separates, whatever else is there", async () => {
  expect(await rowsOf("own.csv", "a;b,c\n1;2,3\n")).toEqual([[2, { "a;b": "1;2", c: "3" }]]);
  expect(await rowsOf("own.csv", '"a,b";c\n1;2\n')).toEqual([[2, { "a,b": "1", c: "2" }]]);
});

test.each([
  ["a,b\n1\n", /bad\.csv: is not CSV: .*; put values that hold commas/],
  ["a,b\n1,2,3\n", /is not CSV/],
  ['text,label\nmid"quote,a\n', /bad\.csv: is not CSV: Invalid Opening Quote: .* at line 2/],
  ['text,label\n"mid" quote,a\n', /bad\.csv: is not CSV: Invalid Closing Quote: .* at line 2/],
  ['text,label\n"open,a\n', /bad\.csv: is not CSV: Quote Not Closed: .* at line 2/],
  ["text;label\na;b;c\n", /is not CSV: .* line 2.*; put values that hold semicolons or quotes in double quotes/],
  ["a,a\n1,2\n", /line 1: names the column "a" twice/],
  ["a,b\n", /has no rows/],
  ["", /has no rows/],
])("refuses %j", async (contents, message) => {
  await expect(rowsOf("bad.csv", contents)).rejects.toThrow(message);
});

test("names a file that is not there", async () => {
  await expect(Readable.from(readCsv(join(folder, "none.csv"))).toArray()).rejects.toThrow("it does not exist");
});

test("bad rows are left out and named where that is asked for", async () => {
  const path = join(folder, "bad.csv");
  writeFileSync(path, "text,label\na,1\nb,2,3\nc\nd,4\n");
  const bad = new BadRows("skip");
  const rows = await Readable.from(readCsv(path, bad)).toArray();
  expect(rows.map(({ value }) => value.text)).toEqual(["a", "d"]);
  expect(bad.notes()).toEqual([
    "left out 2 bad rows:",
    expect.stringMatching(/bad\.csv: is not CSV: .*line 3/),
    expect.stringMatching(/bad\.csv: is not CSV: .*line 4/),
  ]);
});
