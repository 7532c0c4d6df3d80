import { DataError } from "../core/errors.ts";
import { BadRows } from "./bad-rows.ts";
import type { JsonlRow } from "./jsonl.ts";
import { stringColumn } from "./jsonl.ts";
import { columnError, readRecords, withoutNulls } from "./records.ts";

/** What a model can be fine-tuned to do. */
export const taskKinds = ["classification", "entailment", "similarity", "multiple-choice"] as const;

/** One of {@link taskKinds}. */
export type TaskKind = (typeof taskKinds)[number];

/** One row of a task's data. */
export interface TaskExample {
  /** How messages name it. */
  readonly where: string;
  /** Its texts as the row has them, in the order of the columns. */
  readonly texts: readonly string[];
  /**
   * What goes through the model, each one text or a pair: one for a class; both orders of a similar pair; the context
   * with each of the answers of a choice.
   */
  readonly inputs: readonly (readonly string[])[];
  /** Name of the class, score of a pair, or index of the right answer; null where the row does not say. */
  readonly label: string | number | null;
  /** All columns as the file has them. */
  readonly row: JsonlRow["value"];
}

/** In which columns a task's data are. */
export interface TaskColumns {
  /** One column, or the two of a pair. */
  readonly texts: readonly string[];
  readonly label: string;
  /** Holds the list of answers; multiple choice only. */
  readonly choices: string;
}

/** Columns where nobody says otherwise. */
export const defaultColumns: Readonly<Record<TaskKind, TaskColumns>> = {
  classification: { texts: ["text"], label: "label", choices: "choices" },
  entailment: { texts: ["premise", "hypothesis"], label: "label", choices: "choices" },
  similarity: { texts: ["first", "second"], label: "label", choices: "choices" },
  "multiple-choice": { texts: ["context"], label: "answer", choices: "choices" },
};

/** How a task's rows are read. */
export interface TaskReading {
  readonly task: TaskKind;
  readonly columns: TaskColumns;
  /** Labels are numbers to predict rather than names of classes. */
  readonly isScore: boolean;
  /** Whether every row must have a label. Rows to predict need none. */
  readonly needsLabels: boolean;
}

/**
 * Reads a task's rows from files of JSON, CSV or Parquet.
 *
 * @param bad - What is done with a row that cannot be used.
 * @throws {DataError} naming file, row and column, when one is missing or holds something else, a text is empty, or
 * there are fewer than two answers to choose from.
 */
export async function readTaskExamples(
  paths: readonly string[],
  reading: TaskReading,
  bad = new BadRows(),
): Promise<TaskExample[]> {
  const examples: TaskExample[] = [];
  for await (const row of readRecords(paths, bad)) {
    const example = bad.attempt((): TaskExample => ({ ...readExample(withoutNulls(row), reading), row: row.value }));
    if (example) examples.push(example);
  }
  bad.refuseNone(examples.length);
  if (examples.length === 0) throw new DataError("data: no file is given; name a JSON, CSV or Parquet file");
  return examples;
}

function readExample(row: JsonlRow, reading: TaskReading): Omit<TaskExample, "row"> {
  const { task, columns } = reading;
  const texts = columns.texts.map((column) => textColumn(row, column));
  const [first = ""] = texts;
  const { where } = row;
  if (task === "multiple-choice") {
    const choices = choicesColumn(row, columns.choices);
    const inputs = choices.map((choice) => [first, choice]);
    return { where, texts, inputs, label: answerColumn(row, columns.label, choices, reading.needsLabels) };
  }
  // Sorted, so that a pair and its swap are computed in the same way to the last bit.
  const inputs = task === "similarity" ? bothOrders(texts) : [texts];
  return { where, texts, inputs, label: labelColumn(row, reading) };
}

function bothOrders(texts: readonly string[]): string[][] {
  const [low = "", high = ""] = texts.toSorted();
  return [
    [low, high],
    [high, low],
  ];
}

function textColumn(row: JsonlRow, column: string): string {
  const text = stringColumn(row, column, "--text-columns");
  if (text.trim() === "") throw columnError(row, column, "a text that is not empty");
  return text;
}

function labelColumn(
  row: JsonlRow,
  { columns: { label: column }, isScore, needsLabels }: TaskReading,
): TaskExample["label"] {
  const value = row.value[column];
  if (value === undefined && !needsLabels) return null;
  if (value === undefined) stringColumn(row, column, "--label-column"); // says which columns there are
  if (isScore) {
    const score = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    if (typeof score !== "number" || !Number.isFinite(score)) throw columnError(row, column, "a number");
    return score;
  }
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "string" || value === "") throw columnError(row, column, "the name of a class");
  return value;
}

/** A list of texts; in CSV files, whose values are all strings, a JSON array. */
function choicesColumn(row: JsonlRow, column: string): string[] {
  const value = row.value[column];
  if (value === undefined) stringColumn(row, column, "--choices-column");
  const list = typeof value === "string" ? parseList(value) : value;
  const isList = Array.isArray(list) && list.every((choice) => typeof choice === "string" && choice.trim() !== "");
  if (!isList || list.length < 2) throw columnError(row, column, "a list of two texts or more");
  const choices = list as string[];
  const twice = choices.find((choice, i) => choices.indexOf(choice) < i);
  if (twice === undefined) return choices;
  // Of two equal answers none can be the right one, and the model would be taught that one is wrong.
  throw new DataError(
    `${row.where}: column "${column}" has the answer ${JSON.stringify(twice)} twice; remove one, or leave the row out`,
  );
}

function parseList(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The right answer: its index from 0, or its text. */
function answerColumn(row: JsonlRow, column: string, choices: readonly string[], isNeeded: boolean): number | null {
  const value = row.value[column];
  if (value === undefined && !isNeeded) return null;
  if (value === undefined) stringColumn(row, column, "--label-column");
  const isIndex = typeof value === "number" || (typeof value === "string" && /^\d+$/.test(value));
  const index = isIndex && !choices.includes(String(value)) ? Number(value) : choices.indexOf(String(value));
  if (Number.isInteger(index) && index >= 0 && index < choices.length) return index;
  throw columnError(row, column, `one of the ${choices.length} answers, or its index from 0 to ${choices.length - 1}`);
}
