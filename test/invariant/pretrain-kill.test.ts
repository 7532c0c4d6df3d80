import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = mkdtempSync(join(tmpdir(), "stemma-kill-"));
const program = join(import.meta.dirname, "run-pretrain.ts");
const data = join(root, "text.txt");

beforeAll(() => writeFileSync(data, "To be, or not to be, that is the question:\nWhether 'tis nobler\n".repeat(30)));
afterAll(() => rmSync(root, { recursive: true }));

/** Runs the program, and kills it once it says that it has done a step; gives how it ended. */
async function run(model: string, output: string, resume: boolean, killAtStep?: number) {
  const args = [data, output, model, resume ? "resume" : "", String(killAtStep ?? "")];
  const child = spawn(process.execPath, ["--import", "tsx", program, ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return new Promise<string>((resolve) => child.once("close", (code, signal) => resolve(signal ?? String(code))));
}

function sameBits(a: string, b: string): void {
  for (const file of ["final/model.safetensors", "checkpoint-40/optimizer.safetensors"]) {
    expect(readFileSync(join(a, file)).equals(readFileSync(join(b, file))), file).toBe(true);
  }
  const steps = (path: string): unknown[] =>
    readFileSync(join(path, "metrics.jsonl"), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line))
      .map(({ step, loss, eval_loss }) => ({ step, loss, eval_loss }));
  expect(steps(a)).toEqual(steps(b));
}

// An LSTM carries a state from step to step, which a checkpoint has to hold.
test.each(["gpt2", "lstm"])(
  "pretraining a %s, killed again and again, ends with the same bits and the same log",
  async (model) => {
    const [whole, killed] = [join(root, `${model}-whole`), join(root, `${model}-killed`)];
    expect(await run(model, whole, false)).toBe("0");
    for (const [attempt, step] of [1, 8, 21].entries()) {
      expect(await run(model, killed, attempt > 0, step)).toBe("SIGKILL");
    }
    expect(await run(model, killed, true)).toBe("0");
    const { resumedFrom } = JSON.parse(readFileSync(join(killed, "settings.json"), "utf8"));
    expect(resumedFrom).toMatch(/^checkpoint-(18|21|24)$/);
    sameBits(killed, whole);
  },
  120_000,
);
