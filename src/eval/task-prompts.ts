import { SettingsError } from "../core/errors.ts";
import type { BadRowChoice } from "../data/bad-rows.ts";
import { BadRows } from "../data/bad-rows.ts";
import type { Value } from "../text/jinja/values.ts";
import type { Doc } from "./doc-table.ts";
import { tableOf } from "./doc-table.ts";
import { ExampleSampler } from "./example-sampler.ts";
import type { ChatAsking, SolvedExample } from "./task-chat.ts";
import { chatTurns, plainContext, systemText } from "./task-chat.ts";
import { readDocs } from "./task-docs.ts";
import type { OpenedTask, TaskFile } from "./task-file.ts";
import type { QuestionFields } from "./task-question.ts";
import { questionOf } from "./task-question.ts";
import { fieldText } from "./task-template.ts";

/** One question of a task, ready to be put to a model. */
export interface Prompt {
  readonly index: number;
  readonly doc: Doc;
  /** Everything before the answer: description, examples, question. */
  readonly context: string;
  /** Answers to choose from, or the one text whose probability is asked for; none where text is generated. */
  readonly continuations: readonly string[];
  /** The answers without what stands between question and answer: their lengths count for `acc_norm`. */
  readonly choices: readonly string[];
  /** What `doc_to_target` gave: an index, a text, or a list of several. */
  readonly target: Value;
  /** Places of the choices that are right, where one is to be chosen. */
  readonly right: readonly number[];
  /** The texts that are right. */
  readonly answers: readonly string[];
}

/** What decides which prompts a task gives. */
export interface PromptOptions {
  /** Examples before each question. */
  readonly shots: number;
  /** Questions at most; 0 is all. */
  readonly limit: number;
  readonly seed: number;
  readonly dataFolder: string;
  /** Stands before everything else. Default: nothing. */
  readonly systemInstruction?: string | undefined;
  /** How turns are written for a model that chats. Default: questions and examples are one text. */
  readonly chat?: ChatAsking | null | undefined;
  /** What is done with a row that cannot be read, or made a question or an example. Default: an error. */
  readonly bad?: BadRows | undefined;
}

/**
 * The questions of a task, with the examples that {@link ExampleSampler} chooses before each.
 *
 * @throws {SettingsError} when there are fewer examples than shots.
 * @throws {DataError} naming the row, when a template fails, or the answer is none of the choices, and no such rows are
 *   left out.
 */
export async function taskPrompts({ config }: OpenedTask, options: PromptOptions): Promise<Prompt[]> {
  const { test_split: test, validation_split: validation } = config;
  const split = test ?? validation;
  if (!split) throw new SettingsError(`task ${config.task}: names neither test_split nor validation_split; add one`);
  const { bad = new BadRows(), chat = null, systemInstruction = "" } = options;
  const all = await readDocs(config, split, options.dataFolder, bad);
  const docs = options.limit > 0 ? all.slice(0, options.limit) : all;
  const asked = docs.flatMap((doc, index) => {
    const where = `task ${config.task}, row ${index + 1}`;
    const question = bad.attempt(() => ({
      description: fieldText(where, config.description, doc),
      ...questionOf(where, config, doc),
    }));
    return question ? [{ index, doc, where, ...question }] : [];
  });
  bad.refuseNone(asked.length);
  const examples = await examplesFor(config, split, all, { ...options, bad });
  const fields = exampleFields(config);
  return asked.map(({ where, description, text, ...question }) => {
    const shown = examples.next(question.doc).map((doc) => solved(`${where}, an example before it`, fields, doc));
    const system = systemText(systemInstruction, description, config.fewshot_delimiter);
    const context = chat
      ? chat.render(chatTurns(system, shown, text, chat.isMultiturn))
      : plainContext(system, shown, text);
    return { context, ...question, continuations: continuationsOf(config, question, chat !== null) };
  });
}

/** How many questions a task has before any limit, but for rows that cannot be read and are to be left out. */
export async function questionCount(
  { config }: OpenedTask,
  dataFolder: string,
  badRows: BadRowChoice,
): Promise<number> {
  const split = config.test_split ?? config.validation_split;
  return split ? (await readDocs(config, split, dataFolder, new BadRows(badRows))).length : 0;
}

/** Behind a chat template's own mark an answer begins without the task's delimiter. */
function continuationsOf(
  config: TaskFile,
  { choices, answers }: Pick<Prompt, "choices" | "answers">,
  isTurn: boolean,
): string[] {
  const delimiter = isTurn ? "" : config.target_delimiter;
  if (config.output_type === "multiple_choice") return choices.map((choice) => delimiter + choice);
  return config.output_type === "generate_until" ? [] : answers.slice(0, 1);
}

async function examplesFor(
  config: TaskFile,
  split: string,
  docs: readonly Doc[],
  { shots, seed, dataFolder, bad }: PromptOptions & { readonly bad: BadRows },
): Promise<ExampleSampler> {
  const { fewshot_config: own, training_split: training, validation_split: validation } = config;
  const named = own?.split ?? config.fewshot_split ?? null;
  const common = { task: config.task, shots, seed, sampler: own?.sampler ?? "default" } as const;
  // The harness draws one more, and leaves the question out, where these two are alike, even if neither is there.
  const isSaid = named === (config.test_split ?? null);
  if (shots === 0) return new ExampleSampler({ ...common, pool: [], mayHoldQuestion: false });
  if (named === null && own?.samples) {
    return new ExampleSampler({ ...common, pool: tableOf(own.samples), mayHoldQuestion: isSaid });
  }
  const from = named ?? training ?? validation ?? split;
  const rows = from === split ? docs : await readDocs(config, from, dataFolder, bad);
  const chosen = own?.fewshot_indices ? own.fewshot_indices.flatMap((i) => rows.slice(i, i + 1)) : rows;
  const pool = bad.choice === "skip" ? usableExamples(config, from, chosen, from === split ? null : bad) : chosen;
  return new ExampleSampler({ ...common, pool, mayHoldQuestion: isSaid || from === split });
}

/** Rows that can be shown as examples. @param bad - Counts the others; null where they are counted as questions. */
function usableExamples(config: TaskFile, split: string, docs: readonly Doc[], bad: BadRows | null): Doc[] {
  const fields = exampleFields(config);
  const refused = bad ?? new BadRows("skip");
  return docs.filter((doc, i) => {
    const where = `task ${config.task}, row ${i + 1} of ${split}`;
    return refused.attempt(() => solved(where, fields, doc)) !== undefined;
  });
}

/** The fields of examples: those of questions, but for what `fewshot_config` says otherwise. */
function exampleFields(config: TaskFile): QuestionFields & Pick<TaskFile, "target_delimiter" | "fewshot_delimiter"> {
  const own = config.fewshot_config ?? {};
  return {
    ...{ task: config.task, output_type: config.output_type },
    doc_to_text: own.doc_to_text ?? config.doc_to_text,
    doc_to_choice: own.doc_to_choice ?? config.doc_to_choice,
    doc_to_target: own.doc_to_target ?? config.doc_to_target,
    target_delimiter: own.target_delimiter ?? config.target_delimiter,
    fewshot_delimiter: own.fewshot_delimiter ?? config.fewshot_delimiter,
  };
}

/** Question and right answer, as an example. */
function solved(where: string, fields: ReturnType<typeof exampleFields>, doc: Doc): SolvedExample {
  const { text: question, answers } = questionOf(where, fields, doc);
  const [answer = ""] = answers;
  return { question, answer, delimiter: fields.target_delimiter, end: fields.fewshot_delimiter };
}
