import { DataError, UnsupportedError } from "../core/errors.ts";
import { pythonLiteral } from "../text/jinja/literal.ts";
import { pythonRepr, pythonStr } from "../text/jinja/python-text.ts";
import type { Value } from "../text/jinja/values.ts";
import { numberOf } from "../text/jinja/values.ts";
import type { Doc } from "./doc-table.ts";
import type { TaskFile } from "./task-file.ts";
import { fieldList, fieldValue } from "./task-template.ts";

/** The fields of a task that make a question of a row; examples may have others than questions. */
export type QuestionFields = Pick<TaskFile, "task" | "output_type" | "doc_to_text" | "doc_to_target" | "doc_to_choice">;

/** What a row says, by a task's fields. */
export interface Question {
  readonly text: string;
  /** Answers to choose from; empty where the task has none. */
  readonly choices: readonly string[];
  /** What `doc_to_target` gives: an index, a text, or a list of several. */
  readonly target: Value;
  /** Places of the choices that are right, where one is to be chosen. */
  readonly right: readonly number[];
  /** The texts that are right. */
  readonly answers: readonly string[];
}

/**
 * A row as a question, its choices and what is right, as the harness reads the fields.
 *
 * @param where - Task and row, for messages.
 * @throws {DataError} naming the row, when a template fails, a text that is asked about is empty, or the right answer is
 *   none of the choices.
 * @throws {UnsupportedError} when the context differs by choice.
 */
export function questionOf(where: string, fields: QuestionFields, doc: Doc): Question {
  const choices = choicesOf(where, fields, doc);
  const text = textOf(where, fields, doc);
  const target = targetOf(where, fields, doc);
  const all = Array.isArray(target) ? target : [target];
  if (all.length === 0) throw empty(where, "doc_to_target");
  if (fields.output_type !== "multiple_choice") {
    const answers = all.map(
      (one) => (choices.length > 0 && typeof one === "number" ? choices[one] : pythonStr(one)) ?? "",
    );
    if (answers.includes("") && fields.output_type !== "generate_until") throw empty(where, "doc_to_target");
    return { text, choices, target, right: [], answers };
  }
  const right = all.map((one) => placeOf(where, one, choices));
  return { text, choices, target, right, answers: right.map((place) => choices[place] ?? "") };
}

function textOf(where: string, { doc_to_text: source, doc_to_choice: choices }: QuestionFields, doc: Doc): string {
  const value = fieldValue(where, source, doc);
  const isIndex = typeof value === "number" || (typeof value === "string" && /^\p{Nd}+$/u.test(value));
  if (isIndex && choices !== null && choices !== undefined) {
    throw new UnsupportedError(
      `${where}: doc_to_text gives the number ${value}, which asks for a context that differs by choice; this is not supported`,
    );
  }
  if (typeof value === "string") return value;
  throw new DataError(`${where}: doc_to_text gives ${pythonRepr(value)}, a text is needed; write it as a template`);
}

function choicesOf(where: string, { doc_to_choice: source, output_type: type }: QuestionFields, doc: Doc): string[] {
  if (source === null || source === undefined) {
    if (type !== "multiple_choice") return [];
    throw new DataError(`${where}: output_type multiple_choice needs doc_to_choice; add it`);
  }
  const value = typeof source === "string" ? fieldList(where, source, doc) : Object.values(source);
  if (!Array.isArray(value) || value.length < 2) {
    throw new DataError(`${where}: doc_to_choice gives ${pythonRepr(value)}, a list of two or more is needed`);
  }
  const choices = value.map(pythonStr);
  if (choices.includes("")) throw empty(where, "doc_to_choice");
  return choices;
}

/** An index where the text is one, a list where it is written as one; the text otherwise. */
function targetOf(where: string, { doc_to_target: source, doc_to_choice: choices }: QuestionFields, doc: Doc): Value {
  if (typeof source !== "string") return Array.isArray(source) ? [...source] : source;
  const value = fieldValue(where, source, doc);
  if (typeof value !== "string" || Object.hasOwn(doc, source)) return value;
  if (choices !== null && choices !== undefined && /^\p{Nd}+$/u.test(value)) return Number(value);
  return /^\[[\s\S]*\]$/.test(value) ? (pythonLiteral(value) ?? value) : value;
}

/** The right choice is given by its place or its text; a text of digits that is no choice is a place. */
function placeOf(where: string, target: Value, choices: readonly string[]): number {
  const byText = typeof target === "string" ? choices.indexOf(target) : -1;
  const digits = typeof target === "string" && /^\d+$/.test(target) ? Number(target) : numberOf(target);
  const place = byText >= 0 ? byText : (digits ?? -1);
  if (choices[place] !== undefined) return place;
  throw new DataError(
    `${where}: the right answer is ${pythonRepr(target)}, none of the ${choices.length} choices ${pythonRepr([...choices]).slice(0, 80)}`,
  );
}

function empty(where: string, field: string): DataError {
  return new DataError(`${where}: ${field} gives an empty text; correct the row or the template`);
}
