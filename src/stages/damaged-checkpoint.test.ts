import { mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { CheckpointError } from "../core/errors.ts";
import { pretrain } from "./pretrain/index.ts";
import { runStage } from "./run-stage.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-damaged-"));
afterAll(() => rmSync(root, { recursive: true }));

const data = join(root, "text.txt");
writeFileSync(data, "The cat sat on the mat and the dog sat on the log.\n".repeat(60));
const shape = { layers: 1, heads: 2, width: 16, context: 16, batchSize: 2, sampleTokens: 2, tokenizer: "characters" };

let runs = 0;
let output = "";
const at = (...parts: string[]): string => join(output, ...parts);

/** A run with checkpoints of steps 2 and 4 and no more, stopped there. */
beforeEach(async () => {
  output = join(root, `run-${runs++}`);
  const stop = new AbortController();
  await runStage(pretrain, settings(false), { signal: stop.signal, logged: (step) => step === 4 && stop.abort() });
});

const settings = (resume: boolean) =>
  pretrain.settings.parse({ ...shape, data: [data], output, resume, steps: 6, saveEvery: 2 });

async function resume(): Promise<string> {
  await runStage(pretrain, settings(true));
  const { resumedFrom } = JSON.parse(readFileSync(at("settings.json"), "utf8"));
  return resumedFrom;
}

const cut = (file: string) => (): void => truncateSync(at("checkpoint-4", file), 40);

test.each([
  ["weights cut off", cut("model.safetensors"), "model.safetensors"],
  ["moments cut off", cut("optimizer.safetensors"), "optimizer.safetensors"],
  ["state cut off", cut("trainer_state.json"), "trainer_state.json"],
  ["a tokenizer that is gone", () => rmSync(at("checkpoint-4", "tokenizer.json")), "checkpoint-4"],
])("%s: what to do is said in a line, nothing is touched, and then the run goes on", async (_, damage, file) => {
  damage();
  const before = ["settings.json", "metrics.jsonl"].map((name) => readFileSync(at(name), "utf8"));
  const failure = await resume().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CheckpointError);
  const { message } = failure as Error;
  expect(message).toContain(file);
  expect(message).toMatch(/^[^\n]+; move \S+checkpoint-4 away and run it again: it goes on from checkpoint-2$/);
  expect(["settings.json", "metrics.jsonl"].map((name) => readFileSync(at(name), "utf8"))).toEqual(before);
  renameSync(at("checkpoint-4"), join(root, `damaged-${runs}`));
  expect(await resume()).toBe("checkpoint-2");
});

test.each(["model.safetensors", "optimizer.safetensors", "trainer_state.json", "rng_state.json", "config.json"])(
  "without %s a checkpoint is incomplete, and the run goes on from the one before",
  async (file) => {
    rmSync(at("checkpoint-4", file));
    expect(await resume()).toBe("checkpoint-2");
  },
);

test("the only checkpoint being damaged, the run begins anew", async () => {
  rmSync(at("checkpoint-2"), { recursive: true });
  cut("model.safetensors")();
  await expect(resume()).rejects.toThrow(/move \S+checkpoint-4 away and run it again: it begins anew$/);
});
