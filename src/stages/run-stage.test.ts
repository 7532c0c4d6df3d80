import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { InterruptedError, SettingsError } from "../core/errors.ts";
import { pretrain } from "./pretrain/index.ts";
import type { StageResult } from "./run-stage.ts";
import { runStage } from "./run-stage.ts";

let root = "";
let data = "";
const at = (...parts: string[]): string => join(root, ...parts);
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "stemma-stage-"));
  data = at("text.txt");
  writeFileSync(data, "The cat sat on the mat and the dog sat on the log.\n".repeat(60));
});
afterEach(() => rmSync(root, { recursive: true }));

const shape = { layers: 1, heads: 2, width: 16, context: 16, batchSize: 2, sampleTokens: 2, tokenizer: "characters" };

async function run(output: string, given: object, stopAt?: number): Promise<StageResult & { notes: string[] }> {
  const settings = pretrain.settings.parse({ ...shape, data: [data], output: at(output), threads: 1, ...given });
  const stop = new AbortController();
  if (stopAt === 0) stop.abort();
  const notes: string[] = [];
  const watcher = { signal: stop.signal, logged: (step: number) => void (step === stopAt && stop.abort()) };
  const result = await runStage(pretrain, settings, { ...watcher, note: (line) => void notes.push(line) });
  return { ...result, notes };
}

const record = (output: string) => JSON.parse(readFileSync(at(output, "settings.json"), "utf8"));
const checkpoints = (output: string): string[] => readdirSync(at(output)).filter((name) => /^checkpoint-/.test(name));

test("a run that has gone further than the steps asked for is left as it is", async () => {
  await run("run", { steps: 6 }, 4);
  await expect(run("run", { steps: 3, resume: true })).rejects.toThrow(SettingsError);
  await expect(run("run", { steps: 3, resume: true })).rejects.toThrow(
    `steps: ${at("run")} has made 4 already, which is more than 3; give more steps to go on`,
  );
  expect(record("run").settings.steps).toBe(6);
  expect(await run("run", { steps: 4, resume: true })).toMatchObject({ step: 4, interrupted: false });
});

test("a run that is resumed without a checkpoint says that it begins anew", async () => {
  await expect(run("run", { steps: 4, learningRate: 1e30, maxGradientNorm: 0, warmupSteps: 0 })).rejects.toThrow(/NaN/);
  const { notes } = await run("run", { steps: 4, resume: true });
  expect(notes).toContain(`${at("run")} holds no checkpoint yet; the run begins anew`);
  expect((await run("new", { steps: 1, resume: true })).notes.join("\n")).not.toContain("begins anew");
});

test("checkpoints by time change no bit of what is learned", async () => {
  await run("whole", { steps: 5, saveMinutes: 0 });
  await run("often", { steps: 5, saveMinutes: 1e-9, saveTotalLimit: 0 });
  expect(checkpoints("whole")).toEqual(["checkpoint-5"]);
  expect(checkpoints("often").length).toBeGreaterThan(3);
  const weights = (output: string): Buffer => readFileSync(at(output, "final", "model.safetensors"));
  expect(weights("often").equals(weights("whole"))).toBe(true);
});

test("a record says what settings came to, with paths that mean the same from anywhere", async () => {
  await run("run", { steps: 40, data: [relative(process.cwd(), data)] });
  const { settings, resolved } = record("run");
  expect(settings).toMatchObject({ data: [data], model: "gpt2", output: at("run") });
  expect(settings).not.toHaveProperty("learningRate");
  expect(resolved).toMatchObject({
    ...{ steps: 40, learningRate: 5e-4, warmupSteps: 2, scaleParameter: false, batchSize: 2, threads: 1 },
    ...{ backend: expect.stringMatching(/native|reference/), modelConfig: { model_type: "gpt2", n_positions: 16 } },
  });
});

test("a run that is stopped before its first step leaves nothing", async () => {
  await expect(run("run", { steps: 4 }, 0)).rejects.toThrow(InterruptedError);
  expect(existsSync(at("run"))).toBe(false);
});

test("a setting that a stage does not have is an error before anything is made", async () => {
  const settings = { data: [data], output: at("run"), stpes: 3 };
  await expect(runStage(pretrain, settings)).rejects.toThrow(
    new SettingsError("pretrain: has no setting stpes; did you mean steps?"),
  );
  // @ts-expect-error a text where a number belongs
  await expect(runStage(pretrain, { data: [data], output: at("run"), steps: "3" })).rejects.toThrow(
    'pretrain: steps must be a number, got "3"',
  );
  expect(existsSync(at("run"))).toBe(false);
});
