import type { Value } from "../text/jinja/values.ts";
import { Float, toValue } from "../text/jinja/values.ts";

/** One row of a task's data: each column of the table, as a value of a template. */
export type Doc = Readonly<Record<string, Value>>;

/**
 * Rows as a table of columns, as the harness's data sets are: every row has every column, None where it says nothing, and
 * numbers of a column in which one has a fraction are all floats. The same holds inside lists, and inside dicts that
 * have the same keys; others stay as they are.
 */
export function tableOf(rows: readonly Readonly<Record<string, unknown>>[]): Doc[] {
  const values = rows.map((row) => new Map(Object.entries(row).map(([name, value]) => [name, toValue(value)])));
  const names = new Set(values.flatMap((row) => [...row.keys()]));
  const columns = [...names].map((name) => [name, alike(values.map((row) => row.get(name) ?? null))] as const);
  return rows.map((_, i) => Object.fromEntries(columns.map(([name, column]) => [name, column[i] ?? null])));
}

/** Values of one column, made alike where they are of one kind. */
function alike(values: readonly Value[]): readonly Value[] {
  const given = values.filter((value) => value !== null);
  if (given.every((value) => value instanceof Map)) return alikeDicts(values);
  if (given.every(Array.isArray)) return alikeLists(values);
  const isNumber = (value: Value): boolean => typeof value === "number" || value instanceof Float;
  if (!(given.every(isNumber) && given.some((value) => value instanceof Float))) return values;
  return values.map((value) => (typeof value === "number" ? new Float(value) : value));
}

function alikeDicts(values: readonly Value[]): readonly Value[] {
  const dicts = values.filter((value) => value instanceof Map);
  const names = [...(dicts[0]?.keys() ?? [])];
  if (!dicts.every((dict) => dict.size === names.length && names.every((name) => dict.has(name)))) return values;
  const columns = names.map((name) => [name, alike(dicts.map((dict) => dict.get(name) ?? null))] as const);
  let next = -1;
  return values.map((value) => {
    if (!(value instanceof Map)) return value;
    next += 1;
    return new Map(columns.map(([name, column]) => [name, column[next] ?? null]));
  });
}

function alikeLists(values: readonly Value[]): readonly Value[] {
  const items = alike(values.flatMap((value) => (Array.isArray(value) ? value : [])));
  let next = 0;
  return values.map((value) => {
    if (!Array.isArray(value)) return value;
    next += value.length;
    return items.slice(next - value.length, next);
  });
}
