import { DataError, UnsupportedError } from "../core/errors.ts";
import { pythonStr } from "../text/jinja/python-text.ts";
import { strip } from "../text/jinja/string-methods.ts";
import { toValue } from "../text/jinja/values.ts";
import { choicePattern } from "./choice-pattern.ts";
import type { Doc } from "./doc-table.ts";
import { PythonPattern } from "./python-pattern.ts";
import type { TaskFile } from "./task-file.ts";

/** Answers to one question; one text once they are reduced to it. */
type Answers = string | readonly string[];

/** One step of a pipeline. */
type Step = (answers: Answers, doc: Doc) => Answers;

/** What a task does with generated texts before they are compared. */
export interface AnswerFilter {
  /** As metrics are called after it. */
  readonly name: string;
  /**
   * @param answers - All that were generated for one question.
   * @throws {DataError} when more than one is left, or a pattern takes too long.
   */
  readonly apply: (answers: readonly string[], doc: Doc) => string;
}

interface FilterStep {
  readonly function: string;
  readonly [option: string]: unknown;
}

/**
 * All filters of a task, each of which gives metrics of its own; the first answer as it is where a task has none.
 *
 * @throws {UnsupportedError} naming a filter or an option that is not known here.
 * @throws {DataError} when an option has a wrong value.
 */
export function answerFilters(config: TaskFile): AnswerFilter[] {
  const pipelines = config.filter_list ?? [];
  if (pipelines.length === 0) return [{ name: "none", apply: ([first = ""]) => first }];
  return pipelines.map(({ name, filter }) => {
    const where = `task ${config.task}, filter ${name}`;
    const steps = filter.map((step) => stepOf(where, step));
    return {
      name,
      apply: (answers, doc) =>
        oneOf(
          where,
          steps.reduce<Answers>((out, step) => step(out, doc), answers),
        ),
    };
  });
}

function oneOf(where: string, answers: Answers): string {
  if (typeof answers === "string") return answers;
  const [only] = answers;
  if (answers.length === 1 && only !== undefined) return only;
  throw new DataError(`${where}: leaves ${answers.length} answers; end it with take_first or majority_vote`);
}

function stepOf(where: string, step: FilterStep): Step {
  switch (step.function) {
    case "take_first":
      allow(where, step);
      return (answers) => (typeof answers === "string" ? answers : (answers[0] ?? ""));
    case "take_first_k":
      return firstK(where, step);
    case "majority_vote":
      allow(where, step);
      return (answers) => [commonest(typeof answers === "string" ? [answers] : answers)];
    case "remove_whitespace":
      allow(where, step);
      return each((text) => strip(text, null));
    case "lowercase":
      allow(where, step);
      return each((text) => text.toLowerCase());
    case "uppercase":
      allow(where, step);
      return each((text) => text.toUpperCase());
    case "map":
      return mapStep(where, step);
    case "regex":
      return regexStep(where, step);
    case "multi_choice_regex":
      return choiceStep(where, step);
    default:
      throw new UnsupportedError(`${where}: uses ${step.function}, which is not supported; write the task without it`);
  }
}

/** @throws {UnsupportedError} naming an option that is none of these. */
function allow(where: string, { function: name, ...options }: FilterStep, ...known: readonly string[]): void {
  const other = Object.keys(options).find((option) => !known.includes(option));
  if (other === undefined) return;
  throw new UnsupportedError(`${where}: ${name} has the option ${other}, which is not supported; write it without`);
}

function each(change: (text: string, doc: Doc) => string): Step {
  return (answers, doc) =>
    typeof answers === "string" ? change(answers, doc) : answers.map((text) => change(text, doc));
}

/** The commonest; of several the one that came first. */
function commonest(answers: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const answer of answers) counts.set(answer, (counts.get(answer) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return answers.find((answer) => counts.get(answer) === most) ?? "";
}

function firstK(where: string, step: FilterStep): Step {
  allow(where, step, "k");
  const { k } = step;
  if (typeof k !== "number") throw new DataError(`${where}: take_first_k has k ${String(k)}, a number is needed`);
  return (answers) => {
    if (typeof answers !== "string" && answers.length >= k) return answers.slice(0, k);
    const count = typeof answers === "string" ? 1 : answers.length;
    throw new DataError(`${where}: take_first_k wants ${k} answers, there are ${count}; raise repeats`);
  };
}

function mapStep(where: string, step: FilterStep): Step {
  allow(where, step, "mapping_dict", "default_value");
  const given = step.mapping_dict ?? {};
  if (typeof given !== "object" || Array.isArray(given)) {
    throw new DataError(`${where}: mapping_dict is ${JSON.stringify(given)}, a mapping is needed`);
  }
  const mapping = new Map(Object.entries(given as object).map(([key, value]) => [key, pythonStr(toValue(value))]));
  const fallback = pythonStr(toValue(step.default_value ?? null));
  return each((text) => mapping.get(text) ?? fallback);
}

const usualPattern = "#### (\\-?[0-9\\.\\,]+)";

function regexOptions(where: string, step: FilterStep): { source: string; which: number; fallback: string } {
  const { regex_pattern: source = usualPattern, group_select: which = 0, fallback = "[invalid]" } = step;
  if (typeof source !== "string") throw new DataError(`${where}: regex_pattern is ${String(source)}, a text is needed`);
  if (typeof which !== "number") throw new DataError(`${where}: group_select is ${String(which)}, a number is needed`);
  return { source, which, fallback: pythonStr(toValue(fallback)) };
}

function regexStep(where: string, step: FilterStep): Step {
  allow(where, step, "regex_pattern", "group_select", "fallback");
  const { source, which, fallback } = regexOptions(where, step);
  const pattern = new PythonPattern(where, source);
  return each((text) => {
    const found = pattern.findAll(text).at(which);
    const chosen = typeof found === "object" ? found.find((group) => group !== "") : found;
    return chosen === undefined ? fallback : strip(chosen, null);
  });
}

function choiceStep(where: string, step: FilterStep): Step {
  allow(
    where,
    step,
    "regex_pattern",
    "group_select",
    "fallback",
    "ignore_case",
    "ignore_punctuation",
    "regexes_to_ignore",
  );
  const { source, which, fallback } = regexOptions(where, step);
  const ignored = [step.regexes_to_ignore ?? []].flat().map((one) => new PythonPattern(where, String(one)));
  const find = choicePattern({
    ...{ where, source, which, ignored },
    ...{ ignoreCase: step.ignore_case === true, ignorePunctuation: step.ignore_punctuation === true },
  });
  return each((text, doc) => find(text, doc) ?? fallback);
}
