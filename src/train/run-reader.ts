import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors } from "../checkpoint/safetensors-file.ts";
import { indexFile, openShards, weightsFile } from "../checkpoint/shards.ts";
import type { CheckpointPlace } from "../checkpoint/train-state.ts";
import { listCheckpoints } from "../checkpoint/train-state.ts";
import { DataError, StemmaError } from "../core/errors.ts";
import { elementCount } from "../core/shape.ts";
import { fileError, systemCode } from "../files/file-error.ts";
import type { JsonObject } from "../files/json.ts";
import { isJsonObject } from "../files/json.ts";
import { readJsonIfThere } from "../files/json-file.ts";
import { followLog } from "./follow-log.ts";
import { MetricLog } from "./metric-log.ts";
import type { Metrics } from "./run.ts";
import { runFiles } from "./run-folder.ts";
import { isRunLocked } from "./run-lock.ts";

/** Folders inside a folder inside … that are searched for runs. */
const searchDepth = 6;

/** Largest `settings.json` that is read: those of runs have a few thousand bytes. */
const maxSettingsBytes = 2 ** 24;

/** What a run folder tells, whoever wrote it and in whatever state it is. */
export interface RunReport {
  /** The folder, as it was named. */
  readonly path: string;
  /** Stage that made it, or null where `settings.json` does not say. */
  readonly command: string | null;
  /** Version of the package that made it. */
  readonly version: string | null;
  /** When it was started, or went on last: an ISO date. */
  readonly startedAt: string | null;
  /** What it was made with; empty where it cannot be read. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly machine: JsonObject;
  /** `running`: a process writes it. `finished`: its record says so, or the final model is there. `stopped`: neither. */
  readonly state: "running" | "finished" | "stopped";
  /** Updates that its log knows of. */
  readonly step: number;
  /** Updates in the whole run, or null where nothing says. */
  readonly steps: number | null;
  /** The newest value of every metric, by its name in `metrics.jsonl`. */
  readonly metrics: Metrics;
  /** Time that its steps took, all processes together, without evaluations and checkpoints. */
  readonly trainingSeconds: number;
  /** Weights of the model in the final folder or the newest checkpoint, or null before there is one. */
  readonly parameters: number | null;
  /** Complete checkpoints, oldest first. */
  readonly checkpoints: readonly CheckpointPlace[];
  /** The final model's folder, or null. */
  readonly model: string | null;
  /** What is damaged or missing, a line each, without its path. */
  readonly troubles: readonly string[];
}

/**
 * Reads a run folder: its own record, the log, and the headers of its model. Changes nothing, and takes what there is:
 * a run that is going on, one that was killed, one that lost files. A log that was read before is only read on.
 *
 * @throws {DataError} when there is no run in the folder.
 * @throws {FileError} when its log cannot be read.
 */
export async function readRun(path: string, log = metricLogOf(path)): Promise<RunReport> {
  if (!(await isRun(path))) {
    throw new DataError(`${path} holds no run; give a folder that was --output of a stage (stemma runs lists them)`);
  }
  const troubles: string[] = [];
  const record = await attempt(readSettings(path), {}, troubles);
  const { command, version, startedAt, finishedAt, settings, machine } = record;
  await log.update();
  const { damagedLines, step, metrics, seconds } = log.summary;
  if (damagedLines > 0) troubles.push(`${damagedLines} lines of ${runFiles.metrics} are no records`);
  const checkpoints = await listCheckpoints(path);
  const final = join(path, runFiles.final);
  const model = (await exists(join(final, "config.json"))) ? final : null;
  const newest = model ?? checkpoints.at(-1)?.path ?? null;
  const asked = isJsonObject(settings) && typeof settings.steps === "number" ? settings.steps : null;
  return {
    path,
    ...{ command: textOf(command), version: textOf(version), startedAt: textOf(startedAt) },
    settings: isJsonObject(settings) ? settings : {},
    machine: isJsonObject(machine) ? machine : {},
    state: isRunLocked(path) ? "running" : model === null && textOf(finishedAt) === null ? "stopped" : "finished",
    step,
    steps: asked ?? (await attempt(stepsOf(checkpoints), null, troubles)),
    ...{ metrics, trainingSeconds: seconds },
    parameters: newest === null ? null : await attempt(countParameters(newest), null, troubles),
    ...{ checkpoints, model, troubles },
  };
}

/** The log of metrics of the run in a folder, of which nothing is read yet. */
export function metricLogOf(path: string): MetricLog {
  return new MetricLog(join(path, runFiles.metrics));
}

/**
 * Whether a run has begun and ended, from two small files: what of {@link RunReport} may be asked often. A run that a process
 * writes may have ended before, and goes on.
 */
export async function readRunEnd(path: string): Promise<{ readonly hasBegun: boolean; readonly isFinished: boolean }> {
  const record = await readSettings(path).catch(() => null);
  if (record === null) return { hasBegun: false, isFinished: false };
  const isFinished = textOf(record.finishedAt) !== null || (await exists(join(path, runFiles.final, "config.json")));
  return { hasBegun: true, isFinished };
}

/**
 * The runs in a folder and in the folders inside it, in alphabetical order; a folder that is a run is the only one.
 *
 * @throws {FileError} when the folder does not exist or cannot be read.
 */
export async function findRuns(folder: string): Promise<string[]> {
  if (await isRun(folder)) return [folder];
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw fileError(folder, "read", error);
  });
  return search(folder, entries, searchDepth);
}

type Entries = Awaited<ReturnType<typeof entriesOf>>;

async function search(folder: string, entries: Entries, depth: number): Promise<string[]> {
  const found: string[] = [];
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  for (const name of names.filter((name) => !name.startsWith(".") && name !== "node_modules").sort()) {
    const path = join(folder, name);
    if (await isRun(path)) found.push(path);
    else if (depth > 1) found.push(...(await search(path, await entriesOf(path), depth - 1)));
  }
  return found;
}

/** A folder that may not be looked into holds nothing that can be shown. */
async function entriesOf(folder: string): Promise<import("node:fs").Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch(() => []);
}

/** Values of one metric, oldest first. Of a step that was logged twice, the later one. */
export async function readSeries(path: string, metric: string): Promise<{ step: number; value: number }[]> {
  const values = new Map<number, number>();
  for await (const { records } of followLog(join(path, runFiles.metrics))) {
    for (const record of records) {
      const value = record[metric];
      if (typeof value === "number") values.set(record.step, value);
    }
  }
  return [...values].map(([step, value]) => ({ step, value })).sort((a, b) => a.step - b.step);
}

/** A run has a record of its own, or at least a log. */
async function isRun(path: string): Promise<boolean> {
  if (await exists(join(path, runFiles.metrics))) return true;
  const record = await readSettings(path).catch(() => ({}));
  return "command" in record && "settings" in record;
}

async function readSettings(path: string): Promise<JsonObject> {
  const file = join(path, runFiles.settings);
  const there = await stat(file).catch(() => null);
  if (there === null) throw new DataError(`${runFiles.settings} is missing`);
  if (!there.isFile() || there.size > maxSettingsBytes)
    throw new DataError(`${runFiles.settings} is no record of a run`);
  return (await readJsonIfThere(file)) ?? {};
}

/** Updates in the whole run as its newest checkpoint has them. */
async function stepsOf(checkpoints: readonly CheckpointPlace[]): Promise<number | null> {
  const newest = checkpoints.at(-1);
  if (newest === undefined) return null;
  const trainer = await readJsonIfThere(join(newest.path, "trainer_state.json"));
  return typeof trainer?.max_steps === "number" ? trainer.max_steps : null;
}

async function countParameters(folder: string): Promise<number | null> {
  const index = join(folder, indexFile);
  const weights = join(folder, weightsFile);
  const isSharded = await exists(index);
  if (!isSharded && !(await exists(weights))) return null;
  const source = isSharded ? await openShards(index) : await openSafetensors(weights);
  try {
    return source.names().reduce((sum, name) => sum + elementCount(source.info(name).shape), 0);
  } finally {
    await source.close();
  }
}

/** A part of a folder that is damaged is told, and does not hide the rest. */
async function attempt<Value>(reading: Promise<Value>, otherwise: Value, troubles: string[]): Promise<Value> {
  return reading.catch((error: unknown) => {
    if (!(error instanceof StemmaError)) throw error;
    troubles.push(error.message);
    return otherwise;
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if (systemCode(error) === null) throw error;
      return false;
    },
  );
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
