import { join, relative } from "node:path";
import { z } from "zod";
import { kebabCase } from "../core/flags.ts";
import { shellLine } from "../core/shell-line.ts";
import { valueText } from "../train/run-differences.ts";
import { runFiles } from "../train/run-folder.ts";
import type { RunReport } from "../train/run-reader.ts";
import { readRun, readSeries } from "../train/run-reader.ts";
import { readSamples } from "../train/run-samples.ts";
import { defineCommand } from "./command.ts";
import { formatMetric, tellingNames } from "./metric-text.ts";
import { formatDuration } from "./progress.ts";
import { sizeText, stepsText } from "./runs.ts";
import { sparkline } from "./sparkline.ts";
import { tableLines } from "./table.ts";

/** `stemma runs show`: everything about one run. */
export const runsShow = defineCommand({
  name: "runs show",
  summary: "show one run: state, metrics and how they went, settings, samples, what to do next",
  group: "Data and files",
  settings: z.object({
    run: z.string().min(1).describe("folder of the run").meta({ positional: true, placeholder: "run" }),
    samples: z.int().nonnegative().default(3).describe("newest samples to show"),
  }),
  examples: ["stemma runs show runs/book", "stemma runs show runs/book --json"],
  async run({ run: path, samples: count }, io) {
    const report = await readRun(path);
    const samples = count === 0 ? [] : await readSamples(path, count);
    for (const line of headLines(report)) io.print(line);
    for (const line of await metricLines(report)) io.print(line);
    for (const { step, prompt, text } of samples) io.print(`\nsample of step ${step}\n${prompt}${text}`);
    const next = nextCommand(report);
    if (next !== null) io.print(`\n${next}`);
    return { ...report, samples };
  },
});

function headLines(report: RunReport): string[] {
  const { command, path, state, version, startedAt, parameters, trainingSeconds, checkpoints, model } = report;
  const saved = checkpoints.map((checkpoint) => relative(path, checkpoint.path));
  const rows = [
    ["run", `${path}: ${command ?? "of an unknown stage"}, ${state}, step ${stepsText(report)}`],
    ["model", parameters === null ? "none yet" : `${sizeText(parameters)} parameters${model ? `, in ${model}` : ""}`],
    ["time", trainingSeconds === 0 ? "none" : `${formatDuration(trainingSeconds)} of training steps`],
    ["started", `${startedAt ?? "unknown"}${version ? ` with version ${version}` : ""}`],
    ["checkpoints", saved.length === 0 ? "none" : saved.join(", ")],
    ["settings", settingsText(report)],
    ...report.troubles.map((trouble) => ["damaged", trouble]),
  ];
  return tableLines(rows, [{ side: "left" }, { side: "left" }]);
}

function settingsText({ settings }: RunReport): string {
  const given = Object.entries(settings).filter(([, value]) => !(Array.isArray(value) && value.length === 0));
  return given.map(([key, value]) => `${kebabCase(key)} ${valueText(value)}`).join(", ") || "unknown";
}

/** Each telling metric: its last value, its first, and its way from there. */
async function metricLines({ path, metrics }: RunReport): Promise<string[]> {
  const names = tellingNames(metrics);
  const lines: string[] = [];
  for (const name of names) {
    const values = (await readSeries(path, name)).map(({ value }) => value);
    const [first] = values;
    const way = first === undefined || values.length < 2 ? "" : `from ${formatMetric(name, first).split(" ").at(-1)}`;
    lines.push(
      `${formatMetric(name, metrics[name] ?? Number.NaN).padEnd(24)} ${way.padEnd(12)} ${sparkline(values, 40)}`,
    );
  }
  return lines.length === 0 ? [] : ["", ...lines.map((line) => line.trimEnd())];
}

/** What one would type next, or null while the run goes on. */
function nextCommand({ state, model, command, path, checkpoints }: RunReport): string | null {
  if (state === "running")
    return `it goes on; follow it with: ${shellLine("tail", "-f", join(path, runFiles.metrics))}`;
  if (state === "stopped" && command !== null && checkpoints.length > 0) {
    return `go on with: ${shellLine("stemma", command, "--output", path, "--resume")}`;
  }
  if (model === null) return null;
  const uses: Readonly<Record<string, readonly string[]>> = {
    finetune: ["predict", "--model", model, "--data", "rows.jsonl", "--output", "answers.jsonl"],
    reward: ["reward", "--check", "--model", model, "--data", "rankings.jsonl", "--output", "runs/check"],
    pretrain: ["generate", "--model", model, "--prompt", "Once upon a time"],
  };
  return `use it with: ${shellLine("stemma", ...(uses[command ?? ""] ?? ["chat", "--model", model]))}`;
}
