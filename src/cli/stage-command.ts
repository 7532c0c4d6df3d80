import { join } from "node:path";
import type { z } from "zod";
import { listCheckpoints } from "../checkpoint/train-state.ts";
import { SettingsError } from "../core/errors.ts";
import { kebabCase } from "../core/flags.ts";
import { shellLine } from "../core/shell-line.ts";
import { absolutePaths } from "../stages/run-paths.ts";
import type { Watcher } from "../stages/run-stage.ts";
import { runStage } from "../stages/run-stage.ts";
import type { Stage } from "../stages/stage.ts";
import type { Metrics } from "../train/run.ts";
import type { RunRecord } from "../train/run-folder.ts";
import { readRunRecord, runFiles } from "../train/run-folder.ts";
import type { Command, Io, Remembered } from "./command.ts";
import { defineCommand } from "./command.ts";
import { progressFacts, resultFacts } from "./metric-text.ts";
import type { Progress } from "./progress.ts";
import { formatDuration } from "./progress.ts";

/** The command that runs a stage, shows how it goes and stops it cleanly. */
export function stageCommand<Settings extends z.ZodObject>(stage: Stage<Settings>): Command<Settings> {
  return defineCommand({
    name: stage.name,
    summary: stage.summary,
    group: "Train",
    settings: stage.settings,
    ...(stage.examples === undefined ? {} : { examples: stage.examples }),
    remembered: (given) => settingsOfRun(given, stage),
    run: (settings, io) => watchStage(stage, settings, io),
  });
}

/** A run that is resumed has the settings it was started with, so that they need not be typed again. */
async function settingsOfRun(
  given: Readonly<Record<string, unknown>>,
  { beginning = [], settings: schema }: Pick<Stage, "beginning" | "settings">,
): Promise<Remembered | null> {
  const { output, resume } = given;
  if (typeof output !== "string" || resume === undefined || resume === false) return null;
  const record = await readRunRecord(output);
  if (record === null) {
    if (Object.keys(given).length > 2) return null; // a run that starts anew, from the settings given
    throw new SettingsError(`${output} holds no run to resume; check --output`);
  }
  if ((await listCheckpoints(output)).length > 0) {
    refuseOtherBeginning(absolutePaths(schema, given), beginning, output, record);
  }
  const { resume: _, output: __, ...rest } = record.settings;
  return { path: join(output, runFiles.settings), settings: rest };
}

/** @throws {SettingsError} when a run is to go on with what only a new one can have. */
function refuseOtherBeginning(
  given: Readonly<Record<string, unknown>>,
  beginning: readonly string[],
  output: string,
  { settings }: RunRecord,
): void {
  const key = beginning.find((name) => name in given && JSON.stringify(given[name]) !== JSON.stringify(settings[name]));
  if (key === undefined) return;
  const flag = kebabCase(key);
  const own = settings[key] === undefined || settings[key] === null ? "what it has" : String(settings[key]);
  throw new SettingsError(
    `${flag}: ${String(given[key])} is asked for, ${output} goes on with ${own}; leave --${flag} out, or begin a new run with another --output`,
  );
}

async function watchStage<Settings extends z.ZodObject>(
  stage: Stage<Settings>,
  settings: z.output<Settings>,
  io: Io,
): Promise<object> {
  const signal = io.stopSignal();
  await noteNothingToResume(settings, io);
  const result = await runStage(stage, settings, { ...stageWatcher(stage.name, io), signal });
  const facts = resultFacts(result.metrics).join(", ");
  const reached = `${stage.name}: step ${result.step} after ${formatDuration(result.seconds)}${facts && `; ${facts}`}`;
  if (result.interrupted) {
    io.note(
      `${reached}; stopped and saved, go on with: ${shellLine("stemma", stage.name, "--output", result.output, "--resume")}`,
    );
  } else io.print(result.model === null ? reached : `${reached}; model in ${result.model}`);
  return result;
}

/** Whoever resumes a run expects to find one; of a run without a checkpoint the stage itself says so. */
async function noteNothingToResume(settings: object, io: Io): Promise<void> {
  const { output, resume } = settings as { readonly output: string; readonly resume: boolean | string };
  if (resume !== true || (await readRunRecord(output)) !== null || (await listCheckpoints(output)).length > 0) return;
  io.note(`${output} holds no run to resume; a new one begins`);
}

/** Shows how a stage goes: a bar, and notes above it. */
export function stageWatcher(name: string, io: Io): Watcher {
  const metrics: Metrics = {};
  let progress: Progress | null = null;
  return {
    note: (line) => io.note(line),
    started(run) {
      progress = io.progress({ title: name, total: run.steps, start: run.firstStep });
    },
    logged(step, newest) {
      Object.assign(metrics, newest);
      progress?.update(step, progressFacts(metrics));
    },
    sampled: (step, { prompt, text, isAnswer }) => io.note(`step ${step}: ${prompt}${isAnswer ? " → " : ""}${text}`),
    ended: () => progress?.stop(),
  };
}
