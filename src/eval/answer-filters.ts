import { UnsupportedError } from "../core/errors.ts";
import { pythonPattern } from "./python-pattern.ts";
import type { TaskFile } from "./task-file.ts";

/** What a task does with a generated text before it is compared. */
export type AnswerFilter = (text: string) => string;

interface FilterStep {
  readonly function: string;
  readonly [option: string]: unknown;
}

/**
 * The first of a task's filters, and its name; nothing is done to the text where a task has none.
 *
 * @throws {UnsupportedError} naming a filter that is not known here.
 */
export function answerFilter(config: TaskFile): { readonly name: string; readonly apply: AnswerFilter } {
  const [first] = config.filter_list ?? [];
  if (!first) return { name: "none", apply: (text) => text };
  const steps = first.filter.map((step) => stepOf(config.task, step));
  return { name: first.name, apply: (text) => steps.reduce((out, step) => step(out), text) };
}

function stepOf(task: string, step: FilterStep): AnswerFilter {
  switch (step.function) {
    case "take_first":
      return (text) => text;
    case "remove_whitespace":
      return (text) => text.replace(/^\s+/, "");
    case "lowercase":
      return (text) => text.toLowerCase();
    case "uppercase":
      return (text) => text.toUpperCase();
    case "regex":
      return regexStep(task, step);
    default:
      throw new UnsupportedError(`task ${task}: uses the filter ${step.function}, which is not supported`);
  }
}

function regexStep(task: string, step: FilterStep): AnswerFilter {
  const source = typeof step.regex_pattern === "string" ? step.regex_pattern : "#### (\\-?[0-9\\.\\,]+)";
  const which = typeof step.group_select === "number" ? step.group_select : 0;
  const fallback = typeof step.fallback === "string" ? step.fallback : "[invalid]";
  const pattern = pythonPattern(task, source);
  return (text) => {
    const found = [...text.matchAll(pattern)].at(which);
    return (found && captured(found))?.trim() ?? fallback;
  };
}

/** What Python's `findall` gives of a match: all of it, or its group; of several groups the first that holds something. */
function captured([whole, ...groups]: RegExpExecArray): string | undefined {
  if (groups.length < 2) return groups.length === 0 ? whole : (groups[0] ?? "");
  return groups.find((group) => group);
}
