import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeCheckpoint } from "../checkpoint/train-state.ts";
import { CheckpointError, SettingsError } from "../core/errors.ts";
import { RunFolder, readRunRecord } from "./run-folder.ts";

let parent = "";
let output = "";
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "stemma-run-"));
  output = join(parent, "run");
});
afterEach(() => rmSync(parent, { recursive: true }));

async function makeRun(steps: number): Promise<void> {
  const folder = await RunFolder.open(output);
  await folder.begin("pretrain", { output, steps, data: ["a.txt"] });
  folder.log(0, { eval_loss: 5 });
  for (let step = 1; step <= steps; step++) folder.log(step, { loss: 4 / step });
  folder.sample(steps, { prompt: "To", text: " be" });
  await folder.close();
}

test("a run leaves its settings, metrics, samples and events", async () => {
  await makeRun(2);
  expect(readdirSync(output).sort()).toEqual([
    expect.stringMatching(/^events\.out\.tfevents\./),
    "metrics.jsonl",
    "samples.jsonl",
    "settings.json",
  ]);
  expect(readFileSync(join(output, "metrics.jsonl"), "utf8")).toBe(
    '{"step":0,"eval_loss":5}\n{"step":1,"loss":4}\n{"step":2,"loss":2}\n',
  );
  expect(readFileSync(join(output, "samples.jsonl"), "utf8")).toBe('{"step":2,"prompt":"To","text":" be"}\n');
  expect(JSON.parse(readFileSync(join(output, "settings.json"), "utf8"))).toMatchObject({
    command: "pretrain",
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    settings: { output, steps: 2, data: ["a.txt"] },
    machine: { node: process.versions.node, cores: expect.any(Number) },
  });
  expect(await readRunRecord(output)).toEqual({
    command: "pretrain",
    settings: { output, steps: 2, data: ["a.txt"] },
    data: {},
  });
});

test("a folder that holds a run is not written again by accident", async () => {
  await makeRun(1);
  await expect(RunFolder.open(output)).rejects.toThrow(SettingsError);
  await expect(RunFolder.open(output)).rejects.toThrow(
    `${output} already holds a run; add --resume to go on with it, or choose another --output for a new one`,
  );
});

test("a folder with other things in it is fine", async () => {
  mkdirSync(output);
  writeFileSync(join(output, "notes.txt"), "mine");
  await makeRun(1);
  expect(readFileSync(join(output, "notes.txt"), "utf8")).toBe("mine");
});

test("a run that never began leaves no trace", async () => {
  const folder = await RunFolder.open(output);
  await folder.close();
  expect(existsSync(output)).toBe(false);
});

test("of a long log a run keeps the newest records at hand", async () => {
  await makeRun(150);
  await saveAt(150);
  const folder = await RunFolder.open(output, true);
  await folder.begin("pretrain", {});
  folder.log(151, { loss: 1 });
  expect(folder.newest.map(({ step }) => step)).toEqual(Array.from({ length: 100 }, (_, i) => 52 + i));
  await folder.close();
});

test("resuming without any checkpoint starts again and forgets everything", async () => {
  await makeRun(3);
  const folder = await RunFolder.open(output, true);
  expect(folder.checkpoint).toBeNull();
  await folder.begin("pretrain", { output, steps: 3 });
  expect(await folder.history()).toEqual([]);
  await folder.close();
});

test("resuming keeps what came before the checkpoint and forgets what came after", async () => {
  await makeRun(3);
  await saveAt(2);
  const folder = await RunFolder.open(output, true);
  expect(folder.checkpoint).toEqual({ step: 2, path: join(output, "checkpoint-2") });
  await folder.begin("pretrain", { output, steps: 9 });
  expect((await folder.history()).map(({ step }) => step)).toEqual([0, 1, 2]);
  folder.log(3, { loss: 0.5 });
  await folder.close();
  expect(readFileSync(join(output, "metrics.jsonl"), "utf8")).toMatch(/"step":2,.*\n\{"step":3,"loss":0.5\}\n$/);
  expect(readFileSync(join(output, "samples.jsonl"), "utf8")).toBe("");
  expect(JSON.parse(readFileSync(join(output, "settings.json"), "utf8"))).toMatchObject({
    resumedFrom: "checkpoint-2",
    settings: { steps: 9 },
  });
});

test.each(["checkpoint-2", "2", "./checkpoint-2"])("a checkpoint is named as %s", async (name) => {
  await saveAt(2);
  const folder = await RunFolder.open(output, name);
  expect(folder.checkpoint?.step).toBe(2);
  await folder.close();
});

test("an earlier checkpoint is resumed only when later ones cannot be mixed up with it", async () => {
  await saveAt(2);
  await saveAt(4);
  await expect(RunFolder.open(output, "2")).rejects.toThrow(
    `the run has gone on after checkpoint-2; to do that part again, first move away or delete ${output}/checkpoint-4`,
  );
  const elsewhere = await RunFolder.open(join(parent, "other"), join(output, "checkpoint-2"));
  expect(elsewhere.checkpoint?.step).toBe(2);
  await elsewhere.close();
});

async function saveAt(step: number): Promise<void> {
  const tensors = [{ name: "w", shape: [2], dtype: "F32" as const, read: () => new Float32Array(2) }];
  const trainer = { global_step: step, log_history: [] };
  await writeCheckpoint(output, { model: { config: {}, tensors }, optimizer: [], trainer, random: {} });
}

test("a checkpoint that does not exist is an error that lists those that do", async () => {
  await makeRun(1);
  await expect(RunFolder.open(output, "checkpoint-7")).rejects.toThrow(CheckpointError);
  await expect(RunFolder.open(output, "7")).rejects.toThrow(`no complete checkpoint 7 in ${output}; it has none yet`);
});

test("two processes do not write one run", async () => {
  const folder = await RunFolder.open(output);
  await folder.begin("pretrain", {});
  await expect(RunFolder.open(output, true)).rejects.toThrow(`being written by process ${process.pid}`);
  await folder.close();
  await (await RunFolder.open(output, true)).close();
});

function plantClaim(owner: object): void {
  mkdirSync(join(output, "run.lock"), { recursive: true });
  writeFileSync(join(output, "run.lock", "claim"), JSON.stringify({ ...owner, started: "1" }));
}

test("the claim of a process that is gone is taken over", async () => {
  const { pid } = spawnSync(process.execPath, ["--eval", ""]);
  plantClaim({ pid, host: hostname() });
  await makeRun(1);
  expect(existsSync(join(output, "run.lock"))).toBe(false);
});

test("a process number that was used again does not block a run", async (context) => {
  context.skip(process.platform !== "linux", "only Linux tells when a process started");
  plantClaim({ pid: process.ppid, host: hostname() });
  await makeRun(1);
});

test("a claim from another machine is respected", async () => {
  plantClaim({ pid: 1, host: "elsewhere" });
  await expect(RunFolder.open(output)).rejects.toThrow("being written by process 1 on elsewhere");
});

test("a claim that a power cut emptied is nobody's", async () => {
  plantClaim({});
  writeFileSync(join(output, "run.lock", "claim"), "");
  await makeRun(1);
  expect(readdirSync(output).filter((name) => name.includes("lock"))).toEqual([]);
});

test("no run has no settings, and a damaged record says so", async () => {
  expect(await readRunRecord(output)).toBeNull();
  mkdirSync(output);
  writeFileSync(join(output, "settings.json"), "{");
  await expect(readRunRecord(output)).rejects.toThrow(CheckpointError);
});
