import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeSafetensors } from "../checkpoint/safetensors-file.ts";
import { DataError, FileError } from "../core/errors.ts";
import { lockRun } from "./run-lock.ts";
import { findRuns, readRun, readSeries } from "./run-reader.ts";
import { readSamples } from "./run-samples.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stemma-runs-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A run folder as a stage leaves it when it is killed between two checkpoints. */
async function writeRun(name: string): Promise<string> {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  const record = { command: "sft", version: "0.1.0", startedAt: "2026-01-02T03:04:05.000Z" };
  const settings = { learningRate: 0.01, steps: null };
  writeFileSync(join(path, "settings.json"), JSON.stringify({ ...record, settings, machine: { cores: 2 } }));
  const lines = [
    { step: 0, eval_loss: 5 },
    { step: 1, loss: 4, tokens: 100 }, // the first step is not timed
    { step: 2, loss: 3, tokens: 100, tokens_per_second: 50 },
    { step: 3, loss: null, tokens: 200, tokens_per_second: 100 },
  ];
  writeFileSync(join(path, "metrics.jsonl"), `${lines.map((line) => JSON.stringify(line)).join("\n")}\n{"step":4,"lo`);
  await writeCheckpoint(join(path, "checkpoint-2"));
  writeFileSync(join(path, "checkpoint-2/trainer_state.json"), '{"global_step":2,"max_steps":9,"log_history":[]}');
  return path;
}

async function writeCheckpoint(path: string): Promise<void> {
  mkdirSync(path);
  const tensors = [
    { name: "a", shape: [2, 3], read: () => new Float32Array(6) },
    { name: "b", shape: [4], read: () => new Float32Array(4) },
  ];
  await writeSafetensors(join(path, "model.safetensors"), tensors);
  for (const name of ["optimizer.safetensors", "rng_state.json"]) writeFileSync(join(path, name), "{}");
  writeFileSync(join(path, "config.json"), "{}");
}

test("a run that was killed tells what there is", async () => {
  const path = await writeRun("a");
  expect(await readRun(path)).toEqual({
    path,
    command: "sft",
    version: "0.1.0",
    startedAt: "2026-01-02T03:04:05.000Z",
    settings: { learningRate: 0.01, steps: null },
    machine: { cores: 2 },
    state: "stopped",
    step: 3,
    steps: 9,
    metrics: { eval_loss: 5, loss: 3, tokens: 200, tokens_per_second: 100 },
    trainingSeconds: (100 / 50 + 200 / 100) * (400 / 300),
    parameters: 10,
    checkpoints: [{ step: 2, path: join(path, "checkpoint-2") }],
    model: null,
    troubles: [],
  });
});

test("a run is finished with its final model, and running while a process holds it", async () => {
  const path = await writeRun("a");
  cpSync(join(path, "checkpoint-2"), join(path, "final"), { recursive: true });
  expect(await readRun(path)).toMatchObject({ state: "finished", model: join(path, "final"), parameters: 10 });
  const unlock = lockRun(path);
  expect(await readRun(path)).toMatchObject({ state: "running" });
  unlock();
  expect(await readRun(path)).toMatchObject({ state: "finished" });
});

test("a run that makes no model is finished when its record says so", async () => {
  const path = await writeRun("a");
  const file = join(path, "settings.json");
  const record = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify({ ...record, finishedAt: "2026-01-02T03:05:00.000Z" }));
  expect(await readRun(path)).toMatchObject({ state: "finished", model: null });
});

test("a damaged folder tells what is wrong with it, and the rest", async () => {
  const path = await writeRun("a");
  writeFileSync(join(path, "settings.json"), '{"command": "sft"');
  writeFileSync(join(path, "checkpoint-2/model.safetensors"), "short");
  writeFileSync(join(path, "checkpoint-2/trainer_state.json"), "[]");
  appendFileSync(join(path, "metrics.jsonl"), "\n\u0000\u0000\u0000\n");
  const run = await readRun(path);
  expect(run).toMatchObject({ command: null, settings: {}, steps: null, step: 3, parameters: null });
  expect(run.troubles).toEqual([
    expect.stringContaining("settings.json"),
    "2 lines of metrics.jsonl are no records",
    expect.stringContaining("trainer_state.json"),
    expect.stringContaining("model.safetensors"),
  ]);
  rmSync(join(path, "settings.json"));
  expect((await readRun(path)).troubles[0]).toBe("settings.json is missing");
});

test("what a settings file of other programs holds makes no run", async () => {
  mkdirSync(join(folder, "editor"));
  writeFileSync(join(folder, "editor/settings.json"), '{"editor.fontSize": 12}');
  await expect(readRun(join(folder, "editor"))).rejects.toThrow(DataError);
  await expect(readRun(join(folder, "nowhere"))).rejects.toThrow(/nowhere holds no run; give a folder/);
});

test("runs are found at any depth, and none inside another", async () => {
  const first = await writeRun("b");
  await writeRun("a/deep");
  await writeRun("a/deeper/still");
  mkdirSync(join(folder, ".hidden"));
  cpSync(first, join(folder, ".hidden/run"), { recursive: true });
  cpSync(join(folder, ".hidden/run"), join(folder, "b/checkpoint-9"), { recursive: true });
  expect(await findRuns(folder)).toEqual(["a/deep", "a/deeper/still", "b"].map((name) => join(folder, name)));
  expect(await findRuns(first)).toEqual([first]);
  await expect(findRuns(join(folder, "nowhere"))).rejects.toThrow(FileError);
});

test("a metric comes as steps and values, a step that was logged twice with the later value", async () => {
  const path = await writeRun("a");
  appendFileSync(join(path, "metrics.jsonl"), 'ss":2}\n{"step":2,"loss":2.5}\n{"step":5,"loss":"much"}\n');
  expect(await readSeries(path, "loss")).toEqual([
    { step: 1, value: 4 },
    { step: 2, value: 2.5 },
    { step: 4, value: 2 },
  ]);
  expect(await readSeries(path, "reward")).toEqual([]);
});

test("the newest samples come oldest first", async () => {
  const path = await writeRun("a");
  const lines = [1, 2, 3].map((step) => JSON.stringify({ step, prompt: "p", text: `t${step}` }));
  writeFileSync(join(path, "samples.jsonl"), `${lines.join("\n")}\n{"step":4}\n`);
  expect(await readSamples(path, 2)).toEqual([
    { step: 2, prompt: "p", text: "t2" },
    { step: 3, prompt: "p", text: "t3" },
  ]);
});
