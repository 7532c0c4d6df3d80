import { existsSync } from "node:fs";
import { relative } from "node:path";
import { z } from "zod";
import { runDifferences } from "../train/run-differences.ts";
import type { RunReport } from "../train/run-reader.ts";
import { defineCommand } from "./command.ts";
import { tellingFacts } from "./metric-text.ts";
import { formatDuration } from "./progress.ts";
import { WatchedRuns } from "./runs-watch.ts";
import type { Column } from "./table.ts";
import { tableLines } from "./table.ts";

/** Where runs are looked for that nobody says the folder of. */
const usualFolder = "runs";

/** Metrics of a run that stand in its line: the most telling ones. */
const mostFacts = 3;

/** `stemma runs`: one line a run. */
export const runs = defineCommand({
  name: "runs",
  summary: "list runs: size, steps, losses, time, and in what their settings differ",
  group: "Data and files",
  settings: z.object({
    folders: z
      .array(z.string().min(1))
      .default([usualFolder])
      .describe("where to look, folders inside them included")
      .meta({ positional: true, commas: false, placeholder: "folder" }),
    watch: z
      .number()
      .min(0.1)
      .max(86_400)
      .optional()
      .describe("go on until Ctrl-C: look again every so many seconds, and show a line of each run that changed")
      .meta({ placeholder: "seconds" }),
  }),
  examples: ["stemma runs", "stemma runs --watch 5", "stemma runs runs/old runs/new --json"],
  async run({ folders, watch }, io) {
    const isNothingYet = folders.join() === usualFolder && !existsSync(usualFolder);
    const watched = new WatchedRuns(isNothingYet ? [] : folders);
    const signal = watch === undefined ? null : io.stopSignal();
    const reports = await watched.read();
    if (reports.length === 0) {
      io.print(
        `there are no runs in ${folders.join(", ")}; a stage makes one in its --output, stemma runs FOLDER looks there`,
      );
    }
    for (const line of listing(reports, io.columns ?? undefined)) io.print(line);
    if (watch !== undefined && signal !== null) {
      watched.changed(reports);
      await watched.follow(watch, signal, (changed) => {
        for (const report of changed) io.print(changeLine(report));
      });
    }
    return { runs: watch === undefined ? reports : await watched.read() };
  },
});

/** What stands in a line of each run; what matters less gives way first on a narrow terminal. */
const columns: readonly (Column & { readonly name: string })[] = [
  { name: "run", side: "left", least: 16, keeps: "end" },
  { name: "stage", side: "left", dropped: 1 },
  { name: "size", side: "right", dropped: 3 },
  { name: "steps", side: "right" },
  { name: "", side: "left" },
  { name: "result", side: "left", least: 14 },
  { name: "time", side: "right", dropped: 2 },
  { name: "differs in", side: "left", least: 12, dropped: 4 },
];

function listing(reports: readonly RunReport[], width?: number): string[] {
  if (reports.length === 0) return [];
  const differences = runDifferences(reports);
  const head = columns.map(({ name }) => name);
  const rows = reports.map((report, i) => [
    relative("", report.path) || ".",
    report.command ?? "?",
    report.parameters === null ? "–" : sizeText(report.parameters),
    stepsText(report),
    stateText(report),
    tellingFacts(report.metrics).slice(0, mostFacts).join(", ") || "–",
    report.trainingSeconds === 0 ? "–" : formatDuration(report.trainingSeconds),
    differences[i]?.join(", ") || "–",
  ]);
  return tableLines([head, ...rows], columns, width);
}

/** What is new of a run, in a line. */
function changeLine(report: RunReport): string {
  const words = [report.command ?? "?", stepsText(report), report.state];
  const facts = tellingFacts(report.metrics).slice(0, mostFacts);
  return `${relative("", report.path) || "."}  ${[...words, facts.join(", ")].filter(Boolean).join("  ")}`;
}

/** `40/60`, or `40` where the end is unknown. */
export function stepsText({ step, steps }: Pick<RunReport, "step" | "steps">): string {
  return steps === null ? String(step) : `${step}/${steps}`;
}

/** What became of a run; a finished one needs no word, a damaged one always gets one. */
function stateText({ state, troubles }: RunReport): string {
  const words = [...(state === "finished" ? [] : [state]), ...(troubles.length > 0 ? ["damaged"] : [])];
  return words.join(", ");
}

/** `137k`, `1.5M`, `124M`, `1.1B`: parameters of a model in four characters or so. */
export function sizeText(parameters: number): string {
  const [unit, letter] =
    parameters >= 1e9 ? [1e9, "B"] : parameters >= 1e6 ? [1e6, "M"] : parameters >= 1e3 ? [1e3, "k"] : [1, ""];
  const share = parameters / unit;
  return `${share < 10 && unit > 1 ? share.toFixed(1) : Math.round(share)}${letter}`;
}
