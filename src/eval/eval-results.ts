import { createHash } from "node:crypto";
import { join } from "node:path";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { makeFolder } from "../files/make-folder.ts";
import { floatText, pythonJson, pythonStr } from "../text/jinja/python-text.ts";
import type { Value } from "../text/jinja/values.ts";
import { toValue } from "../text/jinja/values.ts";
import { packageVersion } from "../train/machine.ts";
import type { Answer } from "./eval-metrics.ts";
import type { TaskResult } from "./run-task.ts";
import { generationSettings } from "./run-task.ts";
import type { Scorer } from "./scorer.ts";
import type { ChatAsking } from "./task-chat.ts";
import type { TaskFile } from "./task-file.ts";
import type { Prompt } from "./task-prompts.ts";

/** What was asked for, as results record it. */
export interface EvaluationRecord {
  readonly modelArguments: string;
  readonly limit: number;
  /** Questions of each task before the limit. */
  readonly questions: ReadonlyMap<string, number>;
  readonly bootstrapIterations: number;
  readonly seed: number;
  readonly batchTokens: number;
  readonly device: string;
  readonly seconds: number;
  readonly date: Date;
  /** How turns were written, where a chat template was applied. */
  readonly chat?: ChatAsking | null;
  readonly systemInstruction?: string | undefined;
}

/**
 * Results of some tasks at one number of shots, in the schema of the evaluation harness, so that what reads its files
 * reads these.
 */
export function resultsObject(results: readonly TaskResult[], scorer: Scorer, record: EvaluationRecord): object {
  const byTask = <Value>(of: (result: TaskResult) => Value): Record<string, Value> =>
    Object.fromEntries(results.map((result) => [result.task.config.task, of(result)]));
  return {
    results: byTask(metricFields),
    groups: {},
    group_subtasks: byTask(() => []),
    configs: byTask(({ task, shots }) => ({ ...task.config, num_fewshot: shots })),
    versions: byTask(({ task }) => task.config.metadata?.version ?? "Yaml"),
    "n-shot": byTask(({ shots }) => shots),
    higher_is_better: byTask(({ metrics }) =>
      Object.fromEntries(metrics.map((metric) => [metric.name, metric.higherIsBetter])),
    ),
    "n-samples": byTask(({ task, prompts }) => ({
      original: record.questions.get(task.config.task) ?? prompts.length,
      effective: prompts.length,
    })),
    config: {
      model: "stemma",
      model_args: record.modelArguments,
      model_num_parameters: scorer.parameterCount,
      model_dtype: "float32",
      batch_size: `${record.batchTokens} tokens`,
      device: record.device,
      use_cache: null,
      limit: record.limit > 0 ? record.limit : null,
      bootstrap_iters: record.bootstrapIterations,
      gen_kwargs: null,
      random_seed: record.seed,
      numpy_seed: record.seed,
      torch_seed: record.seed,
      fewshot_seed: record.seed,
    },
    git_hash: null,
    date: record.date.getTime() / 1000,
    pretty_env_info: `stemma ${packageVersion()}, node ${process.versions.node}`,
    transformers_version: null,
    lm_eval_version: null,
    max_length: scorer.maxLength,
    task_hashes: byTask(taskHash),
    model_source: "stemma",
    model_name: scorer.name,
    model_name_sanitized: sanitized(scorer.name),
    system_instruction: record.systemInstruction ?? null,
    system_instruction_sha: record.systemInstruction ? hash(record.systemInstruction) : null,
    fewshot_as_multiturn: record.chat?.isMultiturn ?? false,
    chat_template: record.chat?.template ?? null,
    chat_template_sha: record.chat ? hash(record.chat.template) : null,
    total_evaluation_time_seconds: String(record.seconds),
  };
}

function metricFields({ task, metrics, prompts }: TaskResult): Record<string, unknown> {
  const { task: name, task_alias: alias } = task.config;
  const fields: Record<string, unknown> = { alias: alias ?? name, name, sample_len: prompts.length };
  for (const metric of metrics) {
    fields[`${metric.name},${metric.filter}`] = metric.value;
    fields[`${metric.name}_stderr,${metric.filter}`] = Number.isNaN(metric.error) ? "N/A" : metric.error;
  }
  return fields;
}

/**
 * One object a prompt and filter: what was asked, what came back, and what each metric made of it. Answers are texts, as
 * Python writes them.
 */
export function sampleObjects({ task, prompts, answers, metrics, filtered }: TaskResult): Map<string, Value>[] {
  return filtered.flatMap(({ name: filter, texts }) => {
    const own = metrics.filter((metric) => metric.filter === filter);
    return prompts.map((prompt, i) => {
      const answer = answers[i] as Answer;
      const responses = responsesOf(answer);
      return new Map<string, Value>([
        ["doc_id", prompt.index],
        ["doc", new Map(Object.entries(prompt.doc))],
        ["target", pythonStr(prompt.target)],
        ["arguments", argumentsOf(task.config, prompt, answer)],
        ["resps", responses.map((one) => [...one])],
        ["filtered_resps", answer.kind === "texts" ? [texts[i] ?? ""] : responses.map(([first = ""]) => first)],
        ["filter", filter],
        ["metrics", own.map(({ name }) => name)],
        ...Object.entries(hashesOf(task.config, prompt)),
        ...own.map(({ name, perPrompt }) => [name, toValue(perPrompt[i])] as const),
      ]);
    });
  });
}

/** Of all lines of a samples file. */
function taskHash({ task, prompts, filtered }: TaskResult): string {
  const own = prompts.map((prompt) => Object.values(hashesOf(task.config, prompt)).join("")).join("");
  return hash(own.repeat(filtered.length));
}

/** Of what a row holds, what is asked first, and what is right: they tell whether two runs asked the same. */
function hashesOf(config: TaskFile, { doc, context, answers, target }: Prompt): Record<string, string> {
  const isWholeText = config.output_type === "loglikelihood_rolling";
  return {
    doc_hash: hash(pythonJson(new Map(Object.entries(doc)), { indent: 2 })),
    prompt_hash: hash(isWholeText ? (answers[0] ?? "") : context),
    target_hash: hash(pythonStr(target)),
  };
}

function argumentsOf(config: TaskFile, prompt: Prompt, answer: Answer): Value {
  return new Map(
    requestsOf(config, prompt, answer).map((request, i) => {
      return [`gen_args_${i}`, new Map(request.map((value, k) => [`arg_${k}`, value]))];
    }),
  );
}

/** What was put to the model, each request with its arguments in order. */
function requestsOf(config: TaskFile, { context, continuations, answers }: Prompt, answer: Answer): Value[][] {
  switch (answer.kind) {
    case "texts":
      return [[context, toValue(generationSettings(config))]];
    case "text likelihood":
      return [[answers[0] ?? ""]];
    case "likelihoods": {
      const alone = answer.withoutQuestion ? continuations : [];
      return [...continuations.map((text) => [context, text]), ...alone.map((text) => ["", text])];
    }
  }
}

function responsesOf(answer: Answer): Value[][] {
  switch (answer.kind) {
    case "likelihoods":
      return [...answer.likelihoods, ...(answer.withoutQuestion ?? [])].map(({ logProb, isGreedy }) => [
        [floatText(logProb), pythonStr(isGreedy)],
      ]);
    case "text likelihood":
      return [[floatText(answer.logProb)]];
    case "texts":
      return [[...answer.texts]];
  }
}

/**
 * Writes `<folder>/<model>/results_<date>.json` and a `samples_<task>_<date>.jsonl` for each task.
 *
 * @returns path of the results file.
 */
export async function writeResults(
  folder: string,
  results: readonly TaskResult[],
  scorer: Scorer,
  record: EvaluationRecord,
): Promise<string> {
  const place = join(folder, sanitized(scorer.name));
  await makeFolder(place);
  const date = record.date.toISOString().replace("Z", "000").replaceAll(":", "-");
  const path = join(place, `results_${date}.json`);
  await writeFileAtomic(path, `${JSON.stringify(resultsObject(results, scorer, record), null, 2)}\n`);
  for (const result of results) {
    const lines = sampleObjects(result).map((sample) => `${pythonJson(sample)}\n`);
    await writeFileAtomic(join(place, `samples_${result.task.config.task}_${date}.jsonl`), lines.join(""));
  }
  return path;
}

function sanitized(name: string): string {
  return name.replaceAll(/["<>:/|\\?*[\]]+/g, "__").replace(/^(?:__|\.)+/, "") || "model";
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
