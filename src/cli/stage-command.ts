import { join } from "node:path";
import type { z } from "zod";
import { runStage } from "../stages/run-stage.ts";
import type { Stage, StageRun } from "../stages/stage.ts";
import { readRunSettings, runFiles } from "../train/run-folder.ts";
import type { Command, Io, Remembered } from "./command.ts";
import { defineCommand } from "./command.ts";
import { formatMetric, progressFacts } from "./metric-text.ts";
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
    remembered: settingsOfRun,
    run: (settings, io) => watchStage(stage, settings, io),
  });
}

/** A run that is resumed has the settings it was started with, so that they need not be typed again. */
async function settingsOfRun(given: Readonly<Record<string, unknown>>): Promise<Remembered | null> {
  const { output, resume } = given;
  if (typeof output !== "string" || resume === undefined || resume === false) return null;
  const settings = await readRunSettings(output);
  if (settings === null) return null;
  const { resume: _, output: __, ...rest } = settings;
  return { path: join(output, runFiles.settings), settings: rest };
}

async function watchStage<Settings extends z.ZodObject>(
  stage: Stage<Settings>,
  settings: z.output<Settings>,
  io: Io,
): Promise<object> {
  let progress: Progress | null = null;
  const newest: Record<string, number> = {};
  const note = (line: string): void => (progress === null ? io.note(line) : progress.note(line));
  try {
    const result = await runStage(stage, settings, {
      signal: io.stopSignal(),
      note,
      started(run: StageRun) {
        progress = io.progress({ title: stage.name, total: run.steps, start: run.firstStep });
      },
      logged(step, metrics) {
        Object.assign(newest, metrics);
        progress?.update(step, progressFacts(newest));
      },
      sampled: (step, { prompt, text }) => note(`step ${step}: ${prompt}${text}`),
    });
    const shown = ["loss", "eval_loss", "eval_perplexity", "eval_bits_per_character"].flatMap((name) => {
      const value = result.metrics[name];
      return value === undefined ? [] : [formatMetric(name, value)];
    });
    (progress as Progress | null)?.stop();
    progress = null;
    const reached = `${stage.name}: step ${result.step} after ${formatDuration(result.seconds)}; ${shown.join(", ")}`;
    if (result.interrupted) {
      io.note(`${reached}; stopped and saved, go on with: stemma ${stage.name} --output ${result.output} --resume`);
    } else io.print(`${reached}; model in ${result.model}`);
    return result;
  } finally {
    (progress as Progress | null)?.stop();
  }
}
