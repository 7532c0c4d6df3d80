import { DataError } from "../core/errors.ts";
import { strip } from "../text/jinja/string-methods.ts";
import type { Doc } from "./doc-table.ts";
import { PythonPattern } from "./python-pattern.ts";

/** How an answer's choice is found: the harness's `multi_choice_regex`. */
export interface ChoicePatternOptions {
  readonly where: string;
  readonly source: string;
  /** Which of several matches. */
  readonly which: number;
  readonly ignored: readonly PythonPattern[];
  readonly ignoreCase: boolean;
  readonly ignorePunctuation: boolean;
}

/**
 * Finds which choice an answer names, as `(A)`: by the pattern; else by the text of a choice, from the row's column
 * `choices`; else by a letter behind a colon. Null where none is named.
 */
export function choicePattern(options: ChoicePatternOptions): (answer: string, doc: Doc) => string | null {
  const { where, source, which, ignored, ignoreCase, ignorePunctuation } = options;
  const pattern = new PythonPattern(where, source);
  const plain = (text: string): string => {
    const kept = ignored.reduce((rest, one) => one.replace(rest, ""), text);
    const lower = ignoreCase ? kept.toLowerCase() : kept;
    return ignorePunctuation ? lower.replaceAll(/\p{P}/gu, "") : lower;
  };
  const first = (by: PythonPattern, text: string): string => {
    const found = by.findAll(text).at(which) ?? "";
    return strip(typeof found === "string" ? found : (found.find((group) => group !== "") ?? ""), null);
  };
  return (answer, doc) => {
    const choices = choicesOf(where, doc).map((choice) => plain(strip(choice, null)));
    const letters = choices.map((_, i) => String.fromCharCode("A".charCodeAt(0) + i));
    const direct = first(pattern, answer);
    if (direct !== "") return direct;
    const longestFirst = choices.toSorted((a, b) => b.length - a.length).map(escaped);
    const byText = first(new PythonPattern(where, longestFirst.join("|")), plain(answer));
    if (byText !== "") return choices.includes(byText) ? `(${letters[choices.lastIndexOf(byText)]})` : byText;
    const byLetter = first(new PythonPattern(where, `:[\\s]*(${letters.join("|")})`), answer);
    return byLetter === "" ? null : `(${byLetter})`;
  };
}

function choicesOf(where: string, { choices }: Doc): string[] {
  if (Array.isArray(choices) && choices.every((choice) => typeof choice === "string")) return choices;
  throw new DataError(
    `${where}: multi_choice_regex needs a column choices that holds a list of texts; add it to the rows`,
  );
}

function escaped(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}_\s]/gu, "\\$&");
}
