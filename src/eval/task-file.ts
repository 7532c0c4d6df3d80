import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseDocument } from "yaml";
import { z } from "zod";
import { DataError, FileError, SettingsError, UnsupportedError } from "../core/errors.ts";
import { suggestion } from "../core/nearest.ts";

/** Stands for `!function module.name`: Python that a task file calls, which cannot run here. */
class PythonFunction {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

const template = z.string();
const split = z.string().nullish();

const targetField = z.union([template, z.number(), z.array(z.union([z.string(), z.number()]))]);
const choiceField = z.union([template, z.array(z.string()), z.record(z.string(), z.string())]);

const Filter = z.strictObject({ name: z.string(), filter: z.array(z.looseObject({ function: z.string() })) });

const Metric = z.looseObject({
  metric: z.string(),
  aggregation: z.string().nullish(),
  higher_is_better: z.boolean().nullish(),
});

/** A task as the evaluation harness writes it down, as far as it is supported here. */
export const TaskFile = z.strictObject({
  task: z.string().min(1),
  task_alias: z.string().nullish(),
  tag: z.union([z.string(), z.array(z.string())]).nullish(),
  dataset_path: z.string().min(1),
  dataset_name: z.string().nullish(),
  dataset_kwargs: z
    .object({ data_files: z.union([z.string(), z.record(z.string(), z.union([z.string(), z.array(z.string())]))]) })
    .partial()
    .nullish(),
  training_split: split,
  validation_split: split,
  test_split: split,
  fewshot_split: split,
  fewshot_config: z
    .strictObject({
      sampler: z.enum(["default", "first_n"]).nullish(),
      split,
      samples: z.array(z.record(z.string(), z.unknown())).nullish(),
      fewshot_indices: z.array(z.int().nonnegative()).nullish(),
      doc_to_text: template.nullish(),
      doc_to_choice: choiceField.nullish(),
      doc_to_target: targetField.nullish(),
      target_delimiter: z.string().nullish(),
      fewshot_delimiter: z.string().nullish(),
    })
    .partial()
    .nullish(),
  output_type: z
    .enum(["multiple_choice", "loglikelihood", "loglikelihood_rolling", "generate_until"])
    .default("generate_until"),
  description: template.default(""),
  doc_to_text: template.default(""),
  doc_to_target: targetField,
  doc_to_choice: choiceField.nullish(),
  target_delimiter: z.string().default(" "),
  fewshot_delimiter: z.string().default("\n\n"),
  num_fewshot: z.int().nonnegative().nullish(),
  generation_kwargs: z
    .strictObject({
      until: z.union([z.string(), z.array(z.string())]),
      max_gen_toks: z.int().positive(),
      do_sample: z.boolean(),
      temperature: z.number(),
      top_p: z.number(),
      top_k: z.int(),
    })
    .partial()
    .nullish(),
  metric_list: z.array(Metric).nullish(),
  filter_list: z.array(Filter).nullish(),
  repeats: z.int().positive().nullish(),
  should_decontaminate: z.boolean().nullish(),
  doc_to_decontamination_query: template.nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
});
export type TaskFile = z.output<typeof TaskFile>;

/** A task and the file it is from. */
export interface OpenedTask {
  readonly path: string;
  readonly config: TaskFile;
}

/** Folder of the tasks that come with this package, beside `src` or `dist`. */
const ownTasks = fileURLToPath(new URL("../../tasks", import.meta.url));

/** Names of the tasks that come with this package. */
export function taskNames(): string[] {
  if (!existsSync(ownTasks)) return [];
  return readdirSync(ownTasks)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => name.slice(0, -".yaml".length))
    .sort();
}

/**
 * Opens a task by its name or the path of its file. `include` takes over what another file says.
 *
 * @throws {SettingsError} when there is no such task.
 * @throws {FileError} when there is no such file.
 * @throws {DataError} when the file says something wrong.
 * @throws {UnsupportedError} naming the feature, when the file asks for one that is not there.
 */
export async function openTask(nameOrPath: string): Promise<OpenedTask> {
  const path = /\.ya?ml$/.test(nameOrPath) ? nameOrPath : join(ownTasks, `${nameOrPath}.yaml`);
  if (!existsSync(path) && path === nameOrPath) {
    throw new FileError(
      `tasks: there is no file ${path}; correct the path, or name a task that comes with the package`,
    );
  }
  if (!existsSync(path)) {
    const known = taskNames();
    throw new SettingsError(
      `tasks: there is none called ${nameOrPath}${suggestion(nameOrPath, known, `; known are ${known.join(", ")}, or give the path of a YAML file`)}`,
    );
  }
  const fields = await readFields(path);
  refusePython(path, fields);
  for (const key of ["group", "class", "custom_dataset", "process_docs", "process_results", "use_prompt"]) {
    if (fields[key] !== undefined) throw unsupported(path, key);
  }
  const parsed = TaskFile.safeParse(fields);
  if (parsed.success) return { path, config: parsed.data };
  const [issue] = parsed.error.issues;
  if (issue?.code === "unrecognized_keys") throw unsupported(path, issue.keys.join(", "));
  throw new DataError(`${path}: ${issue?.path.join(".")}: ${issue?.message}; correct the task file`);
}

function unsupported(path: string, what: string): UnsupportedError {
  return new UnsupportedError(`${path}: uses ${what}, which is not supported; write the task without it`);
}

async function readFields(path: string, depth = 0): Promise<Record<string, unknown>> {
  const tag = { tag: "!function", resolve: (name: string) => new PythonFunction(name) };
  const document = parseDocument(await readFile(path, "utf8"), { customTags: [tag] });
  const [error] = document.errors;
  if (error) throw new DataError(`${path}: is not YAML: ${error.message.split("\n")[0]}; correct the file`);
  const { include, ...own } = (document.toJS() ?? {}) as Record<string, unknown>;
  if (include === undefined) return own;
  if (typeof include !== "string" || depth > 8) throw unsupported(path, "include of several files");
  return { ...(await readFields(join(dirname(path), include), depth + 1)), ...own };
}

function refusePython(path: string, value: unknown, key = ""): void {
  if (value instanceof PythonFunction) {
    throw new UnsupportedError(
      `${path}: ${key} calls the Python function ${value.name}, which cannot run here; write it as a template`,
    );
  }
  if (typeof value !== "object" || value === null) return;
  for (const [name, inner] of Object.entries(value)) refusePython(path, inner, key || name);
}
