import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PythonPattern } from "./python-pattern.ts";

interface Case {
  readonly pattern: string;
  readonly found: readonly unknown[];
  readonly replaced: readonly string[];
}

const path = new URL("../../test/parity/fixtures/python-regex/cases.json", import.meta.url);
const { texts, cases } = JSON.parse(readFileSync(path, "utf8")) as { texts: string[]; cases: Case[] };

test.each(cases)("$pattern finds and replaces what Python's does", ({ pattern, found, replaced }) => {
  const own = new PythonPattern("t", pattern);
  expect(texts.map((text) => own.findAll(text))).toEqual(found);
  expect(texts.map((text) => own.replace(text, "<\\g<0>>"))).toEqual(replaced);
});

test("groups in a replacement, and how often", () => {
  const pattern = new PythonPattern("t", "(?P<first>\\w)(\\w)");
  expect(pattern.replace("abcd", "\\2\\g<first>")).toBe("badc");
  expect(pattern.replace("abcd", "\\n", 1)).toBe("\ncd");
});

test.each(["(?>a)", "a++", "(?(1)a)", "(?i:a)", "\\q", "\\N{DASH}"])("%s is refused by name", (pattern) => {
  expect(() => new PythonPattern("task t", pattern)).toThrow(
    /^task t: .* in the regular expression .* is not supported/,
  );
});

test.each(["(", "a)", "*a", "[b-a]", "(?P<x>a)(?P<x>b)"])("%s is no regular expression", (pattern) => {
  expect(() => new PythonPattern("task t", pattern)).toThrow(/^task t: ".*" is not a regular expression; correct it/);
});
