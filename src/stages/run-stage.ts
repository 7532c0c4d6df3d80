import { basename, dirname } from "node:path";
import { z } from "zod";
import { latestCheckpoint, listCheckpoints } from "../checkpoint/train-state.ts";
import { CheckpointError, FileError, InterruptedError, NumericalError, SettingsError } from "../core/errors.ts";
import { parseSettings } from "../core/parse-settings.ts";
import type { Metrics, Outcome } from "../train/run.ts";
import { RunFolder, readRunRecord } from "../train/run-folder.ts";
import type { RunData } from "./run-data.ts";
import { fingerprintData, refuseChangedData } from "./run-data.ts";
import { absolutePaths } from "./run-paths.ts";
import type { Sample, Stage, StageRun } from "./stage.ts";
import { runSettings } from "./stage.ts";
import { StepPace } from "./step-pace.ts";

/** Who watches a run. Everything is optional: a run is in its folder in any case. */
export interface Watcher {
  /** Ends the run at the last state that can be gone on from, which is saved. */
  readonly signal?: AbortSignal;
  /** Everything is ready; training starts. */
  started?(run: StageRun): void;
  logged?(step: number, metrics: Metrics): void;
  sampled?(step: number, sample: Sample): void;
  note?(line: string): void;
  /** The run is over, well or not. */
  ended?(): void;
}

/** What became of a run. */
export interface StageResult extends Outcome {
  /** The run's folder. */
  readonly output: string;
  /** The final model's folder, or null when the run was interrupted before, or makes none. */
  readonly model: string | null;
  /** Time it took, preparation included. */
  readonly seconds: number;
  /** The newest value of every metric. */
  readonly metrics: Metrics;
}

/**
 * Runs a stage from settings to final model, in a run folder of its own. Settings that are left out have their defaults.
 *
 * @throws {SettingsError} when a setting is wrong or unknown, or the folder already holds a run that is not resumed, or is in use.
 * @throws {DataError} when a run is resumed whose data was changed meanwhile.
 */
export async function runStage<Settings extends z.ZodObject>(
  stage: Stage<Settings>,
  given: z.input<Settings> | z.output<Settings>,
  watcher: Watcher = {},
): Promise<StageResult> {
  const start = performance.now();
  const settings = parseSettings(stage.name, stage.settings, given);
  const { output, resume } = z.object(runSettings).parse(settings);
  const signal = watcher.signal ?? new AbortController().signal;
  const folder = await RunFolder.open(output, resume);
  const newest: Metrics = {};
  try {
    let pace: StepPace | null = null;
    const recorded = absolutePaths(stage.settings, settings);
    const data = await dataToGoOnWith(stage, recorded, folder);
    if (resume !== false && !folder.checkpoint) await noteNewBeginning(folder, watcher);
    const preparing = stage.prepare(settings, {
      folder,
      signal,
      log(step, metrics) {
        const all = { ...metrics, ...pace?.measure(metrics) };
        folder.log(step, all);
        Object.assign(newest, all);
        watcher.logged?.(step, all);
      },
      sample(step, sample) {
        const { isAnswer: _, ...record } = sample;
        folder.sample(step, record);
        watcher.sampled?.(step, sample);
      },
      note: (line) => watcher.note?.(line),
    });
    const run = await preparing.catch(async (error: unknown) => {
      if (signal.aborted && error === signal.reason) throw stoppedBefore(stage.name);
      throw await withoutCheckpoint(error, folder);
    });
    if (run.firstStep > run.steps) throw alreadyFurther(run, folder);
    const resolved = absolutePaths(stage.settings, { ...recorded, ...run.resolved });
    await folder.begin(stage.name, recorded, data ?? (await fingerprintData(stage.settings, settings)), resolved);
    watcher.started?.(run);
    pace = new StepPace(run);
    const outcome = await run.train(signal).catch(async (error: unknown) => {
      if (signal.aborted && error === signal.reason) throw stoppedInFirst(stage.name, folder.path);
      throw await namingCheckpoint(error, folder.path);
    });
    if (!outcome.interrupted) await folder.finish();
    const seconds = (performance.now() - start) / 1000;
    return {
      ...outcome,
      output,
      model: outcome.interrupted || run.makesNoModel === true ? null : folder.finalPath,
      seconds,
      metrics: newest,
    };
  } finally {
    watcher.ended?.();
    await folder.close();
  }
}

/**
 * What identifies the data of a run that has a checkpoint, which is what it was; null of a run that begins.
 *
 * @throws {SettingsError} when the checkpoint is of another stage.
 * @throws {DataError} when the data was changed meanwhile.
 */
async function dataToGoOnWith(
  { name, settings: schema }: Stage,
  settings: Readonly<Record<string, unknown>>,
  { checkpoint, path }: RunFolder,
): Promise<RunData | null> {
  if (checkpoint === null) return null;
  const record = await readRunRecord(dirname(checkpoint.path));
  if (record && record.command !== name) {
    throw new SettingsError(
      `${path} is a run of ${record.command}; go on with stemma ${record.command}, or choose another --output`,
    );
  }
  const data = await fingerprintData(schema, settings);
  if (record) refuseChangedData(data, settings, record, checkpoint.path);
  return data;
}

/** Whoever resumes a run expects to find something of it. */
async function noteNewBeginning({ path }: RunFolder, watcher: Watcher): Promise<void> {
  if ((await readRunRecord(path)) === null) return;
  watcher.note?.(`${path} holds no checkpoint yet; the run begins anew`);
}

function stoppedBefore(stage: string): InterruptedError {
  return new InterruptedError(`${stage}: stopped before the first step, nothing was to be saved; run it again`);
}

function stoppedInFirst(stage: string, path: string): InterruptedError {
  return new InterruptedError(
    `${stage}: stopped in its first iteration, before any checkpoint; begin again with --output ${path} --resume`,
  );
}

function alreadyFurther({ steps, firstStep }: StageRun, { path }: RunFolder): SettingsError {
  return new SettingsError(
    `steps: ${path} has made ${firstStep} already, which is more than ${steps}; give more steps to go on, or another ` +
      "--output for a shorter run",
  );
}

/** An error about the checkpoint to go on from, which also says how to do without it. */
async function withoutCheckpoint(error: unknown, { checkpoint, path }: RunFolder): Promise<unknown> {
  const isOfFiles = error instanceof CheckpointError || error instanceof FileError;
  if (checkpoint === null || !isOfFiles || !error.message.includes(checkpoint.path)) return error;
  const before = (await listCheckpoints(path)).filter(({ step }) => step < checkpoint.step).at(-1);
  const then = before ? `it goes on from ${basename(before.path)}` : "it begins anew";
  const message = `${error.message}; move ${checkpoint.path} away and run it again: ${then}`;
  return new CheckpointError(message, { cause: error });
}

/** A training error that also says what is left of the run. */
async function namingCheckpoint(error: unknown, output: string): Promise<unknown> {
  if (!(error instanceof NumericalError)) return error;
  const checkpoint = await latestCheckpoint(output);
  const left = checkpoint
    ? `the last good checkpoint is ${checkpoint.path} (--resume)`
    : "no checkpoint was saved before (--save-every)";
  return new NumericalError(`${error.message}; ${left}`, { cause: error });
}
