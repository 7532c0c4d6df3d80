import { DataError, SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { Doc } from "./task-docs.ts";
import { readDocs } from "./task-docs.ts";
import type { OpenedTask, TaskFile } from "./task-file.ts";
import { fieldText, fieldValue } from "./task-template.ts";

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
  /** Index of the right answer, or the texts that are right. */
  readonly target: number | readonly string[];
}

/** What decides which prompts a task gives. */
export interface PromptOptions {
  /** Examples before each question. */
  readonly shots: number;
  /** Questions at most; 0 is all. */
  readonly limit: number;
  readonly seed: number;
  readonly dataFolder: string;
}

/**
 * The questions of a task. Examples are drawn anew for each question, by the seed and the question's place; never the
 * question itself.
 *
 * @throws {SettingsError} when there are fewer examples than shots.
 * @throws {DataError} naming the row, when a template fails or gives an empty text, or the answer is none of the choices.
 */
export async function taskPrompts({ config }: OpenedTask, options: PromptOptions): Promise<Prompt[]> {
  const split = config.test_split ?? config.validation_split;
  if (!split) throw new SettingsError(`task ${config.task}: names neither test_split nor validation_split`);
  const all = await readDocs(config, split, options.dataFolder);
  const docs = options.limit > 0 ? all.slice(0, options.limit) : all;
  const pool = options.shots > 0 ? await examplesFor(config, split, all, options.dataFolder) : [];
  if (options.shots > 0 && pool.length <= options.shots) {
    throw new SettingsError(
      `shots: task ${config.task} has ${pool.length} examples, ${options.shots} and one more are needed`,
    );
  }
  const random = new Random(options.seed);
  return docs.map((doc, index) => {
    const own = new QuestionOf(config, doc, `task ${config.task}, row ${index + 1}`);
    const examples = chooseExamples(config, pool, doc, options.shots, random.child(index));
    const shown = examples.map((example, i) =>
      new QuestionOf(config, example, `task ${config.task}, example ${i + 1}`).solved(),
    );
    const description = fieldText(own.where, config.description, doc);
    return { index, doc, context: description + shown.join("") + own.text(), ...own.answers() };
  });
}

async function examplesFor(config: TaskFile, split: string, docs: Doc[], folder: string): Promise<readonly Doc[]> {
  const own = config.fewshot_config?.split ?? config.fewshot_split ?? config.training_split ?? config.validation_split;
  return !own || own === split ? docs : readDocs(config, own, folder);
}

function chooseExamples(config: TaskFile, pool: readonly Doc[], doc: Doc, shots: number, random: Random): Doc[] {
  if (shots === 0) return [];
  if (config.fewshot_config?.sampler === "first_n") {
    return pool
      .slice(0, shots + 1)
      .filter((example) => example !== doc)
      .slice(0, shots);
  }
  const reader = random.reader();
  const chosen = new Set<number>();
  while (chosen.size < shots) {
    const index = reader.integer(pool.length);
    if (pool[index] !== doc) chosen.add(index);
  }
  return [...chosen].map((index) => pool[index] as Doc);
}

/** The fields of a task for one row. */
class QuestionOf {
  readonly where: string;
  readonly #config: TaskFile;
  readonly #doc: Doc;

  constructor(config: TaskFile, doc: Doc, where: string) {
    this.#config = config;
    this.#doc = doc;
    this.where = where;
  }

  text(): string {
    const { doc_to_text: source } = this.#config;
    const text = fieldText(this.where, source, this.#doc);
    if (source !== "" && text.trim() === "") throw this.#empty("doc_to_text");
    return text;
  }

  /** Question and right answer, as an example. */
  solved(): string {
    const { target, choices } = this.answers();
    const answer = typeof target === "number" ? (choices[target] ?? "") : (target[0] ?? "");
    const { target_delimiter: between, fewshot_delimiter: behind } = this.#config;
    return `${this.text()}${between}${answer}${behind}`;
  }

  answers(): Pick<Prompt, "continuations" | "choices" | "target"> {
    const { output_type: type, target_delimiter: between } = this.#config;
    const choices = this.#choices();
    if (type === "multiple_choice") {
      const continuations = choices.map((choice) => between + choice);
      return { choices, continuations, target: this.#targetIndex(choices) };
    }
    const given = this.#targets();
    const target = choices.length > 0 && given.length === 1 ? [choices[Number(given[0])] ?? given[0] ?? ""] : given;
    return { choices: [], continuations: type === "generate_until" ? [] : target.slice(0, 1), target };
  }

  #choices(): string[] {
    const { doc_to_choice: source, output_type: type } = this.#config;
    if (source === null || source === undefined) {
      if (type !== "multiple_choice") return [];
      throw new DataError(`${this.where}: output_type multiple_choice needs doc_to_choice`);
    }
    const value =
      typeof source === "string"
        ? fieldValue(this.where, source, this.#doc)
        : Array.isArray(source)
          ? source
          : Object.values(source);
    if (!Array.isArray(value) || value.length < 2) {
      throw new DataError(
        `${this.where}: doc_to_choice gives ${JSON.stringify(value)}, a list of two or more is needed`,
      );
    }
    const choices = value.map(String);
    if (choices.includes("")) throw this.#empty("doc_to_choice");
    return choices;
  }

  #targets(): string[] {
    const { doc_to_target: source } = this.#config;
    const value = typeof source === "string" ? fieldValue(this.where, source, this.#doc) : source;
    const targets = [value].flat().map((target) => (target === null || target === undefined ? "" : String(target)));
    if (targets.length === 0 || targets.includes("")) throw this.#empty("doc_to_target");
    return targets;
  }

  /** The right answer is given by its index or its text. */
  #targetIndex(choices: readonly string[]): number {
    const [target = ""] = this.#targets();
    const { doc_to_target: source } = this.#config;
    const byText = choices.indexOf(target);
    const byNumber = /^\d+$/.test(target) ? Number(target) : -1;
    const isText = byText >= 0 && typeof source === "string" && typeof this.#doc[source] === "string";
    const index = isText || byNumber < 0 ? byText : byNumber;
    if (choices[index] !== undefined) return index;
    throw new DataError(
      `${this.where}: the right answer is ${JSON.stringify(target)}, none of the ${choices.length} choices ${JSON.stringify(choices).slice(0, 80)}`,
    );
  }

  #empty(field: string): DataError {
    return new DataError(`${this.where}: ${field} gives an empty text; correct the row or the template`);
  }
}
