import { z } from "zod";
import { machineSettings, openMachine } from "../backend/machine-settings.ts";
import { counted } from "../core/counted.ts";
import { SettingsError } from "../core/errors.ts";
import { writeResults } from "../eval/eval-results.ts";
import { HttpScorer } from "../eval/http-scorer.ts";
import { ModelScorer } from "../eval/model-scorer.ts";
import type { TaskResult } from "../eval/run-task.ts";
import { checkTask, runTask } from "../eval/run-task.ts";
import type { Scorer } from "../eval/scorer.ts";
import type { ChatAsking } from "../eval/task-chat.ts";
import { chatAsking } from "../eval/task-chat.ts";
import type { OpenedTask } from "../eval/task-file.ts";
import { openTask, taskNames } from "../eval/task-file.ts";
import { fewExamples } from "../eval/task-metrics.ts";
import { questionCount, taskPrompts } from "../eval/task-prompts.ts";
import { openAssistant } from "../generate/assistant.ts";
import { weightSettings } from "../models/weight-choice.ts";
import { openRemote, refuseLocal, remoteSettings } from "../remote/remote-settings.ts";
import { addedAdapterSettings } from "../stages/adapter-settings.ts";
import { badRowSettings, readNotingBad } from "../stages/row-settings.ts";
import type { Io } from "./command.ts";
import { defineCommand } from "./command.ts";
import { formatResult } from "./metric-text.ts";

const EvalSettings = z.object({
  model: z
    .string()
    .optional()
    .describe("model folder or GGUF file; or the model's name, with --base-url")
    .meta({ placeholder: "folder" }),
  ...addedAdapterSettings,
  tasks: z
    .array(z.string().min(1))
    .default([])
    .describe("tasks: names, or paths of YAML files; without, all names are listed")
    .meta({ placeholder: "name|file" }),
  shots: z
    .array(z.int().nonnegative())
    .default([])
    .describe("examples before each question, one run for each number (default: the task's own, or 0)")
    .meta({ aliases: ["num_fewshot"], placeholder: "k" }),
  limit: z.int().nonnegative().default(0).describe("questions of each task at most; 0 is all"),
  output: z
    .string()
    .optional()
    .describe("folder for results and samples files")
    .meta({
      aliases: ["output_path"],
      placeholder: "folder",
    }),
  dataFolder: z
    .string()
    .default("data")
    .describe("where data sets lie that tasks name: <folder>/<dataset_path>/<split>.jsonl")
    .meta({ placeholder: "folder" }),
  ...badRowSettings,
  ...remoteSettings,
  concurrency: z
    .int()
    .positive()
    .max(256)
    .default(4)
    .describe("requests to the server at a time, at most")
    .meta({ group: "Server" }),
  sharePrefix: z.boolean().default(true).describe("read the text before a question's choices once for all of them"),
  batchTokens: z.int().positive().default(8192).describe("tokens that go through the model at once, at most"),
  applyChatTemplate: z
    .boolean()
    .default(false)
    .describe("put questions to the model as turns of its own chat template")
    .meta({ aliases: ["apply_chat_template"] }),
  fewshotAsMultiturn: z
    .boolean()
    .optional()
    .describe("with a chat template: each example is a turn and its answer (default), or all are part of the question")
    .meta({ aliases: ["fewshot_as_multiturn"] }),
  systemInstruction: z
    .string()
    .min(1)
    .optional()
    .describe("stands before the task's description; with a chat template the two are the system's turn")
    .meta({ aliases: ["system_instruction"], placeholder: "text" }),
  seed: z.int().nonnegative().default(1234).describe("number that the choice of examples follows from"),
  bootstrapIterations: z
    .int()
    .nonnegative()
    .default(1000)
    .describe(
      "samples behind the standard errors that have no formula, such as perplexity's (the harness: 100000); 0 is no errors",
    )
    .meta({ aliases: ["bootstrap_iters"] }),
  ...weightSettings,
  ...machineSettings,
});
type EvalSettings = z.output<typeof EvalSettings>;

/** `stemma eval`: named tasks, zero-shot or with examples. */
export const evaluate = defineCommand({
  name: "eval",
  summary: "measure a model on tasks, zero-shot or with examples before each question",
  group: "Use a model",
  settings: EvalSettings,
  examples: [
    "stemma eval --model runs/quickstart/base/final --tasks next-verse,wordnet-gloss --shots 0,1,4 --output results",
    "stemma eval --model gpt2 --base-url http://127.0.0.1:8000/v1 --tasks my-task.yaml",
  ],
  async run(settings, io) {
    if (settings.tasks.length === 0) {
      for (const name of taskNames()) io.print(name);
      return { tasks: taskNames() };
    }
    const tasks = await Promise.all(settings.tasks.map(openTask));
    for (const { config } of tasks) checkTask(config);
    const questions = await questionCounts(tasks, settings);
    const { scorer, chat } = await openScorer(settings, io);
    const files: string[] = [];
    const summaries: object[] = [];
    io.print(`${"task".padEnd(24)} shots  ${"metric".padEnd(18)}     value   ± error     questions   questions/s`);
    for (const shots of settings.shots.length > 0 ? settings.shots : [null]) {
      const start = performance.now();
      const results: TaskResult[] = [];
      for (const task of tasks) results.push(await askTask(task, shots, { scorer, chat }, settings, io));
      summaries.push(...results.map(summaryOf));
      if (settings.output === undefined) continue;
      const record = {
        ...{ modelArguments: `model=${settings.model}`, limit: settings.limit, seed: settings.seed },
        ...{ questions, bootstrapIterations: settings.bootstrapIterations },
        ...{ batchTokens: settings.batchTokens, device: settings.baseUrl ?? "cpu" },
        ...{ seconds: (performance.now() - start) / 1000, date: new Date() },
        ...{ chat, systemInstruction: settings.systemInstruction },
      };
      files.push(await writeResults(settings.output, results, scorer, record));
    }
    for (const file of files) io.print(`results in ${file}`);
    return { results: summaries, files };
  },
});

/** Questions of each task before the limit, where results record them. */
async function questionCounts(tasks: readonly OpenedTask[], settings: EvalSettings): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  if (settings.limit === 0 || settings.output === undefined) return counts;
  for (const task of tasks)
    counts.set(task.config.task, await questionCount(task, settings.dataFolder, settings.badRows));
  return counts;
}

async function askTask(
  task: OpenedTask,
  shots: number | null,
  { scorer, chat }: Asked,
  settings: EvalSettings,
  io: Io,
): Promise<TaskResult> {
  const own = shots ?? task.config.num_fewshot ?? 0;
  const options = { ...settings, shots: own, chat };
  const prompts = await readNotingBad(settings, { note: io.note, signal: io.stopSignal() }, (bad) =>
    taskPrompts(task, { ...options, bad }),
  );
  const progress = io.progress({ title: task.config.task, total: prompts.length, start: 0 });
  const { cutRequests: cutBefore, unscoredStarts: unscoredBefore } = scorer;
  const report = (done: number): void => progress.update(done, []);
  const asked = runTask(task, own, prompts, scorer, report, settings.bootstrapIterations);
  const result = await asked.finally(() => progress.stop());
  for (const line of resultLines(result)) io.print(line);
  if (prompts.length < fewExamples) {
    io.note(
      `${task.config.task}: ${counted(prompts.length, "question")} ${prompts.length === 1 ? "is" : "are"} few: others may give quite other values`,
    );
  }
  const cut = scorer.cutRequests - cutBefore;
  if (cut > 0) {
    io.note(
      `${task.config.task}: ${cut} of ${prompts.length} prompts with ${own} examples are longer than the ${scorer.maxLength} ` +
        "tokens that the model reads, and lost their beginning",
    );
  }
  const unscored = scorer.unscoredStarts - unscoredBefore;
  if (unscored > 0) {
    io.note(
      `${task.config.task}: the first token of ${unscored} texts was not scored, as the server sets none before it`,
    );
  }
  return result;
}

/** Who is asked, and how turns are written for it. */
interface Asked {
  readonly scorer: Scorer;
  readonly chat: ChatAsking | null;
}

async function openScorer(settings: EvalSettings, io: Io): Promise<Asked> {
  const { model, baseUrl, seed, batchTokens, sharePrefix } = settings;
  if (model === undefined) throw new SettingsError("model: is missing; give a model folder, or a name with --base-url");
  const { applyChatTemplate, fewshotAsMultiturn } = settings;
  if (fewshotAsMultiturn !== undefined && !applyChatTemplate) {
    throw new SettingsError(
      "fewshot-as-multiturn: turns need a chat template; add --apply-chat-template, or leave it out",
    );
  }
  if (baseUrl !== undefined && applyChatTemplate) {
    throw new SettingsError(
      `apply-chat-template: ${baseUrl} reads texts by /v1/completions, and its template is not known here; leave it out`,
    );
  }
  if (baseUrl !== undefined) {
    refuseLocal(baseUrl, { adapter: settings.adapter, weights: settings.weights });
    const server = await openRemote({ ...settings, baseUrl }, model, { note: io.note, signal: io.stopSignal() });
    return { scorer: new HttpScorer({ ...server, seed, concurrency: settings.concurrency }), chat: null };
  }
  const backend = await openMachine(settings, io);
  const { model: own, encoder } = await openAssistant(model, backend, settings.weights ?? "stored", settings.adapter);
  const endTokens = encoder.endTokens();
  const options = { batchTokens, sharePrefix, seed, endTokens, signal: io.stopSignal() };
  const chat = applyChatTemplate ? chatAsking(model, encoder, fewshotAsMultiturn ?? true, io.note) : null;
  return { scorer: new ModelScorer(own, encoder.tokenizer, { name: model, ...options }), chat };
}

function resultLines({ task, shots, metrics, filtered, prompts, seconds }: TaskResult): string[] {
  const speed = (prompts.length / seconds).toFixed(1);
  return metrics.map(({ name: metric, filter, value, error }) => {
    const name = filtered.length > 1 ? `${metric},${filter}` : metric;
    const shown = Number.isNaN(error) ? "" : `± ${formatResult(error)}`;
    const numbers = `${formatResult(value).padStart(9)} ${shown.padStart(10)} ${String(prompts.length).padStart(12)} ${speed.padStart(13)}`;
    return `${task.config.task.padEnd(24)} ${String(shots).padStart(5)}  ${name.padEnd(18)} ${numbers}`;
  });
}

/** Metrics go by their name; where there are several filters, by theirs too. */
function summaryOf({ task, shots, metrics, filtered, prompts, seconds }: TaskResult): object {
  const values = Object.fromEntries(
    metrics.map(({ name, filter, value, error }) => [
      filtered.length > 1 ? `${name},${filter}` : name,
      { value, stderr: error },
    ]),
  );
  return { task: task.config.task, shots, questions: prompts.length, seconds, metrics: values };
}
