import { stat } from "node:fs/promises";
import { z } from "zod";
import type { Line, LinePanel } from "../charts/line-chart.ts";
import { lineCharts } from "../charts/line-chart.ts";
import { DataError, SettingsError } from "../core/errors.ts";
import { suggestion } from "../core/nearest.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import type { RunReport } from "../train/run-reader.ts";
import { readRun, readSeries } from "../train/run-reader.ts";
import { defineCommand } from "./command.ts";
import { metricWords, tellingNames } from "./metric-text.ts";

/** Metrics that are drawn when none is asked for: the most telling ones. */
const mostPanels = 4;

/** `stemma runs plot`: curves of runs beside each other. */
export const runsPlot = defineCommand({
  name: "runs plot",
  summary: "draw the metrics of runs over their steps, as an SVG picture",
  group: "Data and files",
  settings: z.object({
    runs: z
      .array(z.string().min(1))
      .min(1)
      .describe("folders of the runs")
      .meta({ positional: true, commas: false, placeholder: "run" }),
    metrics: z
      .array(z.string().min(1))
      .default([])
      .describe("what to draw, by the names of metrics.jsonl (default: losses, rewards, accuracies: the most telling)")
      .meta({ placeholder: "name", aliases: ["metric"] }),
    output: z.string().min(1).default("runs.svg").describe("picture to write").meta({ placeholder: "file" }),
    overwrite: z.boolean().default(false).describe("replace what is at --output"),
  }),
  examples: [
    "stemma runs plot runs/small runs/wide",
    "stemma runs plot runs/small runs/wide --metrics eval_loss --output losses.svg",
  ],
  async run({ runs, metrics, output, overwrite }, io) {
    if (!overwrite && (await stat(output).catch(() => null)) !== null) {
      throw new SettingsError(`runs plot: ${output} already exists; choose another --output or add --overwrite`);
    }
    const reports: RunReport[] = [];
    for (const path of new Set(runs)) reports.push(await readRun(path));
    const names = metrics.length > 0 ? metrics : await drawable(reports);
    const panels: LinePanel[] = [];
    for (const name of names) panels.push({ x: "step", y: metricWords(name), lines: await linesOf(reports, name) });
    await writeFileAtomic(output, await lineCharts(panels));
    const who = reports.length === 1 ? reports[0]?.path : `${reports.length} runs`;
    io.print(`${names.map(metricWords).join(", ")} of ${who} in ${output}`);
    return { output, metrics: names, runs: reports.map(({ path }) => path) };
  },
});

/** The telling metrics that have a curve in some run, at most a few. */
async function drawable(reports: readonly RunReport[]): Promise<string[]> {
  const all = Object.assign({}, ...reports.map(({ metrics }) => metrics));
  const names: string[] = [];
  for (const name of tellingNames(all)) {
    const lines = await seriesOf(reports, name);
    if (names.length < mostPanels && lines.some(({ points }) => points.length > 1)) names.push(name);
  }
  if (names.length > 0) return names;
  throw new DataError(
    `${reports.map(({ path }) => path).join(", ")}: no metric has two values yet; train some steps first`,
  );
}

/** @throws {SettingsError} when no run has the metric. */
async function linesOf(reports: readonly RunReport[], metric: string): Promise<Line[]> {
  const lines = await seriesOf(reports, metric);
  if (lines.some(({ points }) => points.length > 0)) return lines;
  const known = [...new Set(reports.flatMap(({ metrics }) => Object.keys(metrics)))];
  throw new SettingsError(
    `metrics: no run has ${metric}${suggestion(metric, known, `; there are ${known.join(", ")}`)}`,
  );
}

async function seriesOf(reports: readonly RunReport[], metric: string): Promise<Line[]> {
  const lines: Line[] = [];
  for (const { path } of reports) {
    const series = await readSeries(path, metric);
    lines.push({ name: path, points: series.map(({ step, value }) => ({ x: step, y: value })) });
  }
  return lines;
}
