import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { shellLine } from "./shell-line.ts";

test("a word without anything special stands as it is", () => {
  expect(shellLine("stemma", "chat", "--model", "runs/a-1.5/final")).toBe("stemma chat --model runs/a-1.5/final");
});

test.skipIf(process.platform === "win32")("a shell reads every word back", () => {
  const words = ["my runs/final", "it's", "$HOME", "a;b", '"', "", "new\nline", "*"];
  expect(execFileSync("sh", ["-c", shellLine("printf", "%s\\0", ...words)], { encoding: "utf8" })).toBe(
    words.map((word) => `${word}\0`).join(""),
  );
});
