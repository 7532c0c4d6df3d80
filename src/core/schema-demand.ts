import type { z } from "zod";

/** What a schema finds wrong with a value. */
export type SchemaIssue = z.core.$ZodIssue;

/** What stands at the end of an issue's path of keys; undefined where there is nothing. */
export function valueAt(checked: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | null | undefined)?.[key],
    checked,
  );
}

/** A value as messages show it: as JSON, which has no way to write a number that is not finite. */
export function shownValue(value: unknown): string {
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}

/** The beginning of a value as messages show it: what a file has may be as long as the file. */
export function shortened(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** What a value that does not fit its schema has to be, as the rest of a sentence: `must be an integer`. */
export function schemaDemand(issue: SchemaIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${article(typeName(issue.expected))}`;
    case "too_small":
      return `must ${bound(issue.origin, issue.inclusive === false ? "more than" : "at least", issue.minimum)}`;
    case "too_big":
      return `must ${bound(issue.origin, issue.inclusive === false ? "less than" : "at most", issue.maximum)}`;
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}`;
    case "invalid_value":
      return issue.values.length === 1
        ? `must be ${String(issue.values[0])}`
        : `must be one of ${issue.values.map(String).join(", ")}`;
    case "invalid_union":
      // A schema of several kinds says which.
      return issue.message.startsWith("must ") ? issue.message : "must be another kind of value";
    case "invalid_format":
      // A schema with a pattern of its own says what is meant by it.
      return issue.message.startsWith("must ") ? issue.message : `is not allowed (${issue.message})`;
    default:
      return `is not allowed (${issue.message})`;
  }
}

function bound(origin: string, relation: string, limit: number | bigint): string {
  if (origin === "array" || origin === "set") return `have ${relation} ${limit} ${limit === 1 ? "entry" : "entries"}`;
  if (origin === "string") return `have ${relation} ${limit} ${limit === 1 ? "character" : "characters"}`;
  return `be ${relation} ${limit}`;
}

function typeName(expected: string): string {
  const names: Record<string, string> = {
    int: "integer",
    string: "text",
    array: "list",
    object: "mapping",
    boolean: "true or false",
  };
  return names[expected] ?? expected;
}

function article(noun: string): string {
  if (noun === "text" || noun === "true or false") return noun;
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}
