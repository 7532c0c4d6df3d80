import { expect, test } from "vitest";
import { z } from "zod";
import { parseContents } from "./parse-contents.ts";

const Schema = z.object({ list: z.array(z.object({ id: z.int().nonnegative() })), name: z.string().default("x") });
const parse = (contents: unknown, remedy?: string): unknown => parseContents("a.json", Schema, contents, remedy);

test("contents that fit are completed", () => {
  expect(parse({ list: [{ id: 3 }], other: 1 })).toEqual({ list: [{ id: 3 }], name: "x" });
});

test.each([
  [{ list: [{ id: 1 }, { id: -1 }] }, "a.json: list[1].id must be at least 0, got -1; correct it"],
  [{ list: [{}] }, "a.json: list[0].id is missing; it must be a number; correct it"],
  [{ list: [], name: ["y".repeat(100)] }, `a.json: name must be text, got ["${"y".repeat(78)}…; correct it`],
  [7, "a.json: the value must be a mapping, got 7; correct it"],
])("%j", (contents, message) => {
  expect(() => parse(contents, "correct it")).toThrow(message);
});

test("where nobody says what to do, the file is to be fetched again", () => {
  expect(() => parse({})).toThrow(
    "a.json: list is missing; it must be a list; the file is damaged or of another format",
  );
});
