import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Screen } from "../screen.ts";
import { stemma } from "./stemma.ts";

/** The program of util-linux that gives a command a terminal of its own; others of this name take other flags. */
const hasScript = spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux") === true;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stemma-terminal-"));
  writeFileSync(join(folder, "text.txt"), "In the beginning was the word. ".repeat(200));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the command in a pseudo-terminal; gives what its screen showed at the end, and every byte that came. */
async function inTerminal(
  args: readonly string[],
  { columns, input = "" }: { readonly columns: number; readonly input?: string },
): Promise<{ lines: string[]; bytes: string; code: number | null }> {
  const bin = join(import.meta.dirname, "../../bin/stemma.js");
  const words = [process.execPath, bin, ...args].map((word) => `'${word}'`).join(" ");
  const command = `stty columns ${columns} rows 20 -echo && exec ${words}`;
  const child = spawn("script", ["--quiet", "--flush", "--return", "--command", command, "/dev/null"], { cwd: folder });
  const screen = new Screen(columns, 20);
  let bytes = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    bytes += chunk;
    screen.write(chunk);
  });
  child.stdin.write(input);
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { lines: await screen.lines(), bytes, code };
}

const small = ["--tokenizer", "characters", "--layers", "1", "--width", "16", "--heads", "1", "--context", "16"];

describe.skipIf(!hasScript)("in a pseudo-terminal, which script of util-linux gives", () => {
  test.each([100, 60])("a run of samples ends with all of them and one bar, %d columns wide", async (columns) => {
    const run = `run-${columns}`;
    const sizes = [...small, "--batch-size", "2", "--steps", "30", "--sample-every", "10", "--sample-tokens", "90"];
    const args = ["pretrain", "--data", "text.txt", "--output", run, ...sizes];
    const { lines, code } = await inTerminal(args, { columns });
    expect(code).toBe(0);
    const samples = readFileSync(join(folder, run, "samples.jsonl"), "utf8")
      .trim()
      .split("\n");
    const texts = samples.map((line) => JSON.parse(line) as { step: number; prompt: string; text: string });
    expect(texts.map(({ step }) => step)).toEqual([10, 20, 30]);
    const shown = lines.join("");
    for (const { step, prompt, text } of texts) {
      expect(withoutSpaces(shown)).toContain(withoutSpaces(`step ${step}: ${prompt}${text}`));
    }
    expect(lines.filter((line) => /[█░]/.test(line))).toEqual([expect.stringMatching(/^pretrain █+ 30\/30 {2}loss /)]);
    const end = lines.findIndex((line) => line.includes("30/30"));
    expect(lines.slice(end + 1).join("")).toMatch(/^pretrain: step 30 after .*model in run-\d+\/final$/);
  });

  test("a text as it is written breaks between words, and not at all where it is no terminal that it goes to", async () => {
    const train = ["pretrain", "--data", "text.txt", "--output", "words", "--steps", "1", ...small, "--context", "99"];
    await stemma(train, { cwd: folder });
    const prompt = "In the beginning was the word and the word was the beginning ";
    const generate = ["generate", "--model", "words/final", "--prompt", prompt, "--max-new-tokens", "1"];
    const { lines } = await inTerminal(generate, { columns: 20 });
    const begin = lines.findIndex((line) => line.startsWith("In")); // after a note on the backend, where there is one
    expect(lines.slice(begin, begin + 3)).toEqual(["In the beginning was", "the word and the", "word was the"]);
    expect((await stemma(generate, { cwd: folder })).stdout).toContain(prompt);
  });

  test("what a model writes and what a file is called do not command the terminal", async () => {
    writeFileSync(join(folder, "bells.txt"), "\u001b[31m\u0007\u009b2J".repeat(300));
    const train = ["pretrain", "--data", "bells.txt", "--output", "bells", "--steps", "1", ...small];
    const said = (await inTerminal(train, { columns: 80 })).bytes;
    const generate = ["generate", "--model", "bells/final", "--prompt", "\u001b[31m", "--max-new-tokens", "40"];
    const shown = (await inTerminal(generate, { columns: 80 })).bytes;
    const wrong = (await inTerminal(["score", "--model", "x\u001b[2Jy"], { columns: 80 })).bytes;
    expect(shown).toContain("\\x1b[31m");
    expect(wrong).toContain("x\\x1b[2Jy");
    let others = [said, shown, wrong].join("");
    for (const own of ["\u001b[J", "\u001b[?7l", "\u001b[?7h"]) others = others.replaceAll(own, ""); // the bar's
    for (const control of ["\u001b", "\u0007", "\u009b"]) expect(others).not.toContain(control);
    const piped = await stemma(generate, { cwd: folder });
    expect(piped.stdout.startsWith("\u001b[31m")).toBe(true); // a program that reads it gets it as it is
  });
});

function withoutSpaces(text: string): string {
  return text.replaceAll(/\s+/g, "");
}
