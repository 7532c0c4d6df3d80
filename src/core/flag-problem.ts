import type { Flag } from "./flags.ts";
import { askFor, isTooLarge, nameOf } from "./flags.ts";
import { suggestion } from "./nearest.ts";
import type { SchemaIssue } from "./schema-demand.ts";
import { schemaDemand, shownValue, valueAt } from "./schema-demand.ts";

/**
 * What a schema finds wrong with one of its settings, in the words of whoever typed it: `--steps must be an integer, got 1.5`.
 *
 * @param merged - All settings, as they were checked.
 * @param label - What a message calls the setting of a key.
 */
export function flagProblem(
  issue: SchemaIssue,
  merged: Readonly<Record<string, unknown>>,
  flags: readonly Flag[],
  label: (key: string) => string,
): string {
  const [key, ...inner] = issue.path.map(String);
  if (key === undefined) return issue.message;
  const flag = flags.find((candidate) => candidate.key === key);
  const value = valueAt(merged, issue.path);
  if (value === undefined && inner.length === 0 && issue.code !== "custom" && flag !== undefined) {
    return `${nameOf(flag)} is missing; give ${askFor(flag)} (${flag.description})`;
  }
  const where = inner.length === 0 ? label(key) : `${label(key)} (${inner.map(entryName).join(" ")})`;
  if (issue.code === "custom") return `${where}: ${issue.message}`;
  if (typeof value === "string" && isTooLarge(value))
    return `${where} must be a number that can be counted with, got ${value}`;
  return `${where} ${demand(issue, flag)}, got ${shownValue(value)}${nearestChoice(issue, value)}`;
}

function entryName(part: string): string {
  return /^\d+$/.test(part) ? `entry ${Number(part) + 1}` : part;
}

/** What a value has to be, as the rest of a sentence, in the words of the command line. */
function demand(issue: SchemaIssue, flag: Flag | undefined): string {
  if (issue.code === "invalid_type" && issue.expected === "boolean") return "must be yes or no";
  if (issue.code !== "invalid_union" || flag === undefined) return schemaDemand(issue);
  return `must be ${flag.placeholder.replaceAll(/[<>[\]]/g, "").replaceAll("|", " or ")}`;
}

function nearestChoice(issue: SchemaIssue, value: unknown): string {
  return issue.code === "invalid_value" && typeof value === "string"
    ? suggestion(value, issue.values.map(String), "")
    : "";
}
