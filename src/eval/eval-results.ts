import { createHash } from "node:crypto";
import { join } from "node:path";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { makeFolder } from "../files/make-folder.ts";
import { packageVersion } from "../train/machine.ts";
import type { Answer } from "./eval-metrics.ts";
import type { TaskResult } from "./run-task.ts";
import type { Scorer } from "./scorer.ts";
import type { Prompt } from "./task-prompts.ts";

/** What was asked for, as results record it. */
export interface EvaluationRecord {
  readonly modelArguments: string;
  readonly limit: number;
  readonly seed: number;
  readonly batchTokens: number;
  readonly device: string;
  readonly seconds: number;
  readonly date: Date;
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
    "n-samples": byTask(({ prompts }) => ({ original: prompts.length, effective: prompts.length })),
    config: {
      model: "stemma",
      model_args: record.modelArguments,
      model_num_parameters: scorer.parameterCount,
      model_dtype: "float32",
      batch_size: `${record.batchTokens} tokens`,
      device: record.device,
      use_cache: null,
      limit: record.limit > 0 ? record.limit : null,
      bootstrap_iters: 1000,
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
    task_hashes: byTask(({ prompts }) => hash(prompts.map(({ context }) => context).join("\n"))),
    model_source: "stemma",
    model_name: scorer.name,
    model_name_sanitized: sanitized(scorer.name),
    system_instruction: null,
    system_instruction_sha: null,
    fewshot_as_multiturn: false,
    chat_template: null,
    chat_template_sha: null,
    total_evaluation_time_seconds: String(record.seconds),
  };
}

function metricFields({ task, metrics, prompts, filter }: TaskResult): Record<string, unknown> {
  const { task: name, task_alias: alias } = task.config;
  const fields: Record<string, unknown> = { alias: alias ?? name, name, sample_len: prompts.length };
  for (const metric of metrics) {
    fields[`${metric.name},${filter}`] = metric.value;
    fields[`${metric.name}_stderr,${filter}`] = Number.isNaN(metric.error) ? "N/A" : metric.error;
  }
  return fields;
}

/** One object a prompt: what was asked, what came back, and what each metric made of it. */
export function sampleObjects({ prompts, answers, metrics, filter }: TaskResult): object[] {
  return prompts.map((prompt, i) => {
    const answer = answers[i] as Answer;
    const responses = responsesOf(answer);
    return {
      doc_id: prompt.index,
      doc: prompt.doc,
      target: prompt.target,
      arguments: argumentsOf(prompt, answer),
      resps: responses,
      filtered_resps: answer.kind === "text" ? [answer.filtered] : responses.flat(),
      filter,
      metrics: metrics.map(({ name }) => name),
      doc_hash: hash(JSON.stringify(prompt.doc)),
      prompt_hash: hash(prompt.context),
      target_hash: hash(String(prompt.target)),
      ...Object.fromEntries(metrics.map(({ name, perPrompt }) => [name, perPrompt[i]])),
    };
  });
}

function argumentsOf({ context, continuations, choices, target }: Prompt, answer: Answer): object {
  const texts = continuations.length > 0 ? continuations : [typeof target === "number" ? "" : (target[0] ?? "")];
  const alone = answer.kind === "likelihoods" && answer.withoutQuestion ? choices : [];
  const pairs = [...texts.map((text) => [context, text]), ...alone.map((text) => ["", text])];
  return Object.fromEntries(pairs.map(([before, text], i) => [`gen_args_${i}`, { arg_0: before, arg_1: text }]));
}

function responsesOf(answer: Answer): unknown[][] {
  switch (answer.kind) {
    case "likelihoods":
      return [...answer.likelihoods, ...(answer.withoutQuestion ?? [])].map(({ logProb, isGreedy }) => [
        [logProb, isGreedy],
      ]);
    case "text likelihood":
      return [[answer.logProb]];
    case "text":
      return [[answer.text]];
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
    const lines = sampleObjects(result).map((sample) => `${JSON.stringify(sample)}\n`);
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
