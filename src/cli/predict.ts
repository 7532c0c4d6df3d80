import { z } from "zod";
import { machineSettings, openMachine } from "../backend/machine-settings.ts";
import { counted } from "../core/counted.ts";
import { DataError } from "../core/errors.ts";
import type { TaskExample } from "../data/task-examples.ts";
import { readTaskExamples } from "../data/task-examples.ts";
import type { EncodedExample } from "../data/task-inputs.ts";
import { encodeExamples } from "../data/task-inputs.ts";
import { indexOfLargest } from "../eval/task-metrics.ts";
import { reportLines, softmax, taskReport } from "../eval/task-report.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import type { TaskDescription } from "../models/task-model.ts";
import { addedAdapterSettings } from "../stages/adapter-settings.ts";
import { classIndex, targetOf } from "../stages/finetune.ts";
import { encodingOf, openTrainedSolver } from "../stages/finetune-model.ts";
import { columnSettings, columnsOf } from "../stages/finetune-settings.ts";
import { readNotingBad } from "../stages/row-settings.ts";
import { readTask } from "../train/task-objective.ts";
import { defineCommand } from "./command.ts";
import { overwriteSetting, refuseTakenOutput } from "./free-output.ts";

/** `stemma predict`: what a fine-tuned model says of new rows. */
export const predict = defineCommand({
  name: "predict",
  summary: "ask a fine-tuned model about new rows",
  group: "Use a model",
  settings: z.object({
    model: z.string().min(1).describe("folder of a fine-tuned model").meta({ placeholder: "folder" }),
    ...addedAdapterSettings,
    data: z.array(z.string()).min(1).describe("rows: files of JSON, CSV or Parquet").meta({ placeholder: "file" }),
    output: z
      .string()
      .min(1)
      .describe("JSONL file for the rows with their answers, a line each")
      .meta({ placeholder: "file" }),
    overwrite: overwriteSetting,
    ...columnSettings,
    longRows: z
      .enum(["error", "truncate"])
      .default("truncate")
      .describe("what to do with a row longer than the context"),
    batchSize: z.int().positive().default(64).describe("rows that go through the model at once"),
    ...machineSettings,
  }),
  examples: ["stemma predict --model runs/spam/final --data new.csv --output answers.jsonl"],
  async run(settings, io) {
    const { output, overwrite } = settings;
    const signal = io.stopSignal();
    const sources = [settings.model, ...settings.adapter, ...settings.data];
    await refuseTakenOutput({ command: "predict", sources, output, kind: "file", overwrite });
    const backend = await openMachine(settings, io);
    const solver = await openTrainedSolver(settings.model, backend, { adapters: settings.adapter });
    const { description } = solver.model;
    const columns = columnsOf(description.task, settings, description.columns);
    const isScore = description.labels.length === 0;
    const reading = { task: description.task, columns, isScore, needsLabels: false };
    const rows = await readNotingBad(settings, { note: io.print, signal }, (bad) =>
      readTaskExamples(settings.data, reading, bad),
    );
    refuseTakenColumns(rows);
    const encoding = encodingOf(solver, settings);
    const note = foreignNote(rows, description.labels);
    if (note !== null) io.note(`predict: ${note}`);
    const targetIn = (row: TaskExample): number =>
      isForeign(row, description.labels) ? Number.NaN : targetOf(row, description.labels);
    const { examples } = await encodeExamples(rows, encoding, targetIn, signal);
    const outputs = await readTask(solver.model, examples, settings.batchSize, signal);
    const lines = outputs.map((output, i) => answerRow(rows[i], output, description));
    await writeFileAtomic(output, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const known = [...examples.entries()].filter(([, { target }]) => !Number.isNaN(target));
    if (known.length > 0) {
      const targets = known.map(([, { target }]: [number, EncodedExample]) => target);
      const report = taskReport({ description, outputs: known.map(([i]) => outputs[i] as Float32Array), targets });
      for (const line of reportLines(report)) io.print(line);
    }
    io.print(`${lines.length} answers in ${output}`);
    return { output, answers: lines.length };
  },
});

/** Whether a row's class is none of the model's, which nothing can be said right or wrong of. */
function isForeign({ label }: TaskExample, labels: readonly string[]): boolean {
  return typeof label === "string" && classIndex(label, labels) === null;
}

/** What there is to say of rows whose class the model does not know; null where there are none. */
function foreignNote(rows: readonly TaskExample[], labels: readonly string[]): string | null {
  const named = rows.filter(({ label }) => typeof label === "string");
  const foreign = named.filter((row) => isForeign(row, labels));
  const [first] = foreign;
  if (!first) return null;
  const known = `the model's (${labels.join(", ")})`;
  if (foreign.length === named.length) {
    return `the rows' classes, such as "${first.label}", are none of ${known}: no accuracy is told`;
  }
  const few = `of ${named.length} rows ${foreign.length} ${foreign.length === 1 ? "has" : "have"} a class, such as "${first.label}", that is none of ${known}`;
  return `${few}: they are answered, and accuracy is that of the ${counted(named.length - foreign.length, "other", "others")}`;
}

/** Columns of the answers. */
const answerColumns = ["prediction", "probabilities"];

/** @throws {DataError} when a row has a column of the answers' names, which would be lost. */
function refuseTakenColumns(rows: readonly TaskExample[]): void {
  for (const { row, where } of rows) {
    const taken = answerColumns.find((column) => column in row);
    if (taken === undefined) continue;
    throw new DataError(`${where}: has a column "${taken}" already, which the answer would replace; rename it`);
  }
}

/** A row with its answer: the class, the index of the answer, or the score, with how sure the model is. */
function answerRow(
  example: TaskExample | undefined,
  output: Float32Array,
  { task, labels }: TaskDescription,
): Record<string, unknown> {
  const row = example?.row ?? {};
  if (labels.length === 0 && task !== "multiple-choice") return { ...row, prediction: output[0] };
  const best = indexOfLargest(output);
  const probabilities = softmax(output).map((p) => Number(p.toFixed(6)));
  const named =
    labels.length > 0 ? Object.fromEntries(labels.map((name, i) => [name, probabilities[i]])) : probabilities;
  return { ...row, prediction: labels[best] ?? best, probabilities: named };
}
