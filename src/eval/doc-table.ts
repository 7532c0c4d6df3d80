import type { Value } from "../text/jinja/values.ts";
import { Float, toValue } from "../text/jinja/values.ts";

/** One row of a task's data: each column of the table, as a value of a template. */
export type Doc = Readonly<Record<string, Value>>;

/**
 * Rows as a table of columns, as the harness's data sets are: every row has every column, None where it says nothing, and
 * so have dicts inside; numbers of a column in which one has a fraction are all floats.
 */
export function tableOf(rows: readonly Readonly<Record<string, unknown>>[]): Doc[] {
  const values = rows.map((row) => toValue(row));
  return unified(values).map((row) => Object.fromEntries(row instanceof Map ? row : []) as Doc);
}

/** Values of one column, made alike. */
function unified(values: readonly Value[]): Value[] {
  if (values.some((value) => value instanceof Map)) return unifiedDicts(values);
  if (values.some(Array.isArray)) return unifiedLists(values);
  if (!values.some((value) => value instanceof Float)) return [...values];
  return values.map((value) => (typeof value === "number" ? new Float(value) : value));
}

function unifiedDicts(values: readonly Value[]): Value[] {
  const names = new Set(values.flatMap((value) => (value instanceof Map ? [...value.keys()] : [])));
  const dicts = values.map((value) => (value instanceof Map ? new Map(value) : value));
  const columns = [...names].map((name) => {
    const own = values.map((value) => (value instanceof Map ? (value.get(name) ?? null) : null));
    return [name, unified(own)] as const;
  });
  return dicts.map((value, row) => {
    if (!(value instanceof Map)) return value;
    return new Map(columns.map(([name, column]) => [name, column[row] ?? null]));
  });
}

function unifiedLists(values: readonly Value[]): Value[] {
  const items = unified(values.flatMap((value) => (Array.isArray(value) ? value : [])));
  let next = 0;
  return values.map((value) => {
    if (!Array.isArray(value)) return value;
    next += value.length;
    return items.slice(next - value.length, next);
  });
}
