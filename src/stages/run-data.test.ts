import { mkdtempSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DataError } from "../core/errors.ts";
import { stages } from "./index.ts";
import { pretrain } from "./pretrain/index.ts";
import { runStage } from "./run-stage.ts";

let root = "";
let data = "";
let output = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "stemma-data-"));
  data = join(root, "text.txt");
  output = join(root, "run");
  writeFileSync(data, "The cat sat on the mat and the dog sat on the log.\n".repeat(60));
});
afterEach(() => rmSync(root, { recursive: true }));

const shape = { layers: 1, heads: 2, width: 16, context: 16, batchSize: 2, sampleTokens: 2, tokenizer: "characters" };

/** Trains to step 2, as if interrupted there, or goes on from there to the end. */
async function run(resume: boolean, given: object = {}): Promise<void> {
  const settings = pretrain.settings.parse({ ...shape, data: [data], output, resume, steps: 4, ...given });
  const stop = new AbortController();
  const logged = (step: number): void => {
    if (step === 2 && !resume) stop.abort();
  };
  await runStage(pretrain, settings, { signal: stop.signal, logged });
}

test("a run goes on with the data it began with, wherever it lies and whenever it was written", async () => {
  await run(false);
  utimesSync(data, 1, 1);
  await run(true);
});

test("data changed while a run was interrupted is refused in a line that names the file", async () => {
  await run(false);
  const before = readFileSync(join(output, "settings.json"), "utf8");
  writeFileSync(data, readFileSync(data, "utf8").replace("dog", "cow"));
  await expect(run(true)).rejects.toThrow(DataError);
  await expect(run(true)).rejects.toThrow(
    `${data}: was changed (it had 3060 bytes and has 3060 now) since this run began; put the data back as it was, or ` +
      `train on what it is now in a new run (--model ${join(output, "checkpoint-2")})`,
  );
  expect(readFileSync(join(output, "settings.json"), "utf8")).toBe(before);
  writeFileSync(data, readFileSync(data, "utf8").replace("cow", "dog"));
  await run(true);
});

test("files that come to a glob, or go, are noticed", async () => {
  const given = { data: [join(root, "*.txt")] };
  await run(false, given);
  const other = join(root, "other.txt");
  writeFileSync(other, "The cow sat on the dog.\n");
  await expect(run(true, given)).rejects.toThrow(`${other}: was added to the data since this run began`);
  renameSync(data, join(root, "text.old"));
  await expect(run(true, given)).rejects.toThrow(`${data}: is not among the data any more`);
});

test("other data that is asked for is a decision", async () => {
  await run(false);
  const other = join(root, "other.txt");
  writeFileSync(other, "The dog sat on the mat and the cat sat on the log.\n".repeat(60));
  await run(true, { data: [other] });
});

test("every stage says which of its settings name data", () => {
  for (const stage of Object.values(stages)) {
    const named = Object.entries(stage.settings.shape).flatMap(([key, schema]) => (schema.meta()?.isData ? [key] : []));
    expect(named).toEqual(expect.arrayContaining([["ppo", "grpo"].includes(stage.name) ? "prompts" : "data"]));
  }
});
