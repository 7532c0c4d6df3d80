import { expect, test } from "vitest";
import { CheckpointError } from "../core/errors.ts";
import { parseJsonObject } from "./json.ts";

const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;

test("nesting is read as far as any format goes, and refused long before the stack ends", () => {
  expect(parseJsonObject("file", nested(100))).toHaveProperty("a.a.a");
  for (const text of [nested(101), nested(200_000), `{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}`]) {
    expect(() => parseJsonObject("file", text)).toThrow(
      new CheckpointError(
        "file: nests objects and lists more than 100 deep; the file is damaged, fetch or write it again",
      ),
    );
  }
});
