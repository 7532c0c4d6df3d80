import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DataError, SettingsError } from "../core/errors.ts";
import type { SourceSetting } from "./sources.ts";
import { resolveSources } from "./sources.ts";

const cwd = mkdtempSync(join(tmpdir(), "stemma-sources-"));

beforeAll(() => {
  const files = {
    "books/b.txt": "b",
    "books/a.MD": "a",
    "books/deep/c.jsonl.gz": "c",
    "books/empty.txt": "",
    "books/picture.png": "p",
    "books/.hidden.txt": "h",
    "pages/x.html": "x",
    "pages/[y].html": "y",
    "odd/a=1": "a",
    "odd/*.txt": "star",
    "odd/z.txt": "z",
    "hollow/a.txt": "",
  };
  for (const [name, contents] of Object.entries(files)) {
    mkdirSync(join(cwd, dirname(name)), { recursive: true });
    writeFileSync(join(cwd, name), contents);
  }
  symlinkSync("/dev/null", join(cwd, "device"));
});
afterAll(() => rmSync(cwd, { recursive: true }));

async function found(...settings: SourceSetting[]): Promise<[string, number, string[]][]> {
  const sources = await resolveSources(settings, cwd);
  return sources.map(({ name, weight, files }) => [name, weight, files.map((file) => relative(cwd, file))]);
}

test("a folder gives the text files in it and below, in order and without empty ones", async () => {
  expect(await found("books")).toEqual([["books", 1, ["books/a.MD", "books/b.txt", "books/deep/c.jsonl.gz"]]]);
});

test("a file may have any name, a glob finds any file, and a real path is never read as a pattern", async () => {
  expect(await found("books/picture.png")).toEqual([["picture.png", 1, ["books/picture.png"]]]);
  expect(await found("pages/*.html")).toEqual([["pages/*.html", 1, ["pages/[y].html", "pages/x.html"]]]);
  expect((await found("pages/[y].html"))[0]?.[2]).toEqual(["pages/[y].html"]);
  expect((await found("odd/*.txt"))[0]?.[2]).toEqual(["odd/*.txt"]);
  expect((await found(join(cwd, "pages/{x,z}.html")))[0]?.[2]).toEqual(["pages/x.html"]);
});

test("sources without weights are one, with every file once", async () => {
  expect(await found("books/b.txt", "books", "pages/x.html")).toEqual([
    ["b.txt and 2 more", 1, ["books/b.txt", "books/a.MD", "books/deep/c.jsonl.gz", "pages/x.html"]],
  ]);
});

test("weights stand behind the path or beside it", async () => {
  expect(await found("books/*.txt=2", { path: "pages/x.html", weight: 0.5 }, "odd/a=1=3")).toEqual([
    ["books/*.txt", 2, ["books/b.txt"]],
    ["x.html", 0.5, ["pages/x.html"]],
    ["a=1", 3, ["odd/a=1"]],
  ]);
  expect(await found("odd/a=1")).toEqual([["a=1", 1, ["odd/a=1"]]]);
});

test.each<[SourceSetting[], RegExp]>([
  [["none.txt"], /^none\.txt: does not exist; check the path/],
  [["books/*.csv"], /^books\/\*\.csv: no file matches this glob/],
  [["books/empty.txt"], /^books\/empty\.txt: the file is empty/],
  [["hollow"], /^hollow: all 1 files it finds are empty/],
  [["pages"], /^pages: the folder has no text files .*"pages\/\*\*\/\*\.html"/],
  [["device"], /^device: is not a regular file/],
])("refuses %j", async (settings, message) => {
  await expect(found(...settings)).rejects.toThrow(message);
  await expect(found(...settings)).rejects.toThrow(DataError);
});

test.each<[SourceSetting[], RegExp]>([
  [[], /no source is given/],
  [["books/b.txt=much"], /the weight of books\/b\.txt must be a positive number, got "much"/],
  [["books/b.txt="], /got ""/],
  [[{ path: "books/b.txt", weight: -1 }], /got "-1"/],
  [["books/b.txt=2", "pages/x.html"], /books\/b\.txt has a weight and pages\/x\.html has none/],
])("refuses settings %j", async (settings, message) => {
  await expect(found(...settings)).rejects.toThrow(message);
  await expect(found(...settings)).rejects.toThrow(SettingsError);
});
