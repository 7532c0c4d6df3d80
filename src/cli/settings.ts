import type { z } from "zod";
import { suggestion } from "../core/nearest.ts";
import type { Flag } from "./flags.ts";
import { flagsOf } from "./flags.ts";
import type { Request } from "./program.ts";
import { readSettingsFile } from "./settings-file.ts";
import { UsageError } from "./usage-error.ts";

/**
 * The settings that a request resolves to: command line over `--config` over what an earlier run left over defaults.
 *
 * @throws {UsageError} in one line that names each wrong setting as the user wrote it, its value and what is allowed.
 */
export async function resolveSettings({ command, given, config }: Request): Promise<Record<string, unknown>> {
  const flags = flagsOf(command.settings);
  const filed = config === null ? {} : readSettingsFile(config, flags, command.name);
  const remembered = (await command.remembered?.({ ...filed, ...given })) ?? null;
  const merged = { ...remembered?.settings, ...filed, ...given };
  const result = command.settings.safeParse(merged);
  if (result.success) return result.data;
  const label = (key: string): string => {
    if (key in given) return `--${flags.find((flag) => flag.key === key)?.name}`;
    if (key in filed) return `${key} in ${config}`;
    return remembered !== null && key in remembered.settings
      ? `${key} in ${remembered.path}`
      : `--${flags.find((flag) => flag.key === key)?.name}`;
  };
  const problems = result.error.issues.map((issue) => describeIssue(issue, merged, flags, label));
  throw new UsageError(`${command.name}: ${[...new Set(problems)].join("; also ")}`);
}

type Issue = z.core.$ZodIssue;

function describeIssue(
  issue: Issue,
  merged: Readonly<Record<string, unknown>>,
  flags: readonly Flag[],
  label: (key: string) => string,
): string {
  const [key, ...inner] = issue.path.map(String);
  if (key === undefined) return issue.message;
  const flag = flags.find((candidate) => candidate.key === key);
  const value = valueAt(merged, issue.path);
  if (value === undefined && inner.length === 0 && issue.code !== "custom" && flag !== undefined) {
    return `--${flag.name} is missing; give --${flag.name} ${flag.placeholder} (${flag.description})`;
  }
  const where = inner.length === 0 ? label(key) : `${label(key)} (${inner.map(entryName).join(" ")})`;
  if (issue.code === "custom") return `${where}: ${issue.message}`;
  return `${where} ${demand(issue, flag)}, got ${JSON.stringify(value)}${nearestChoice(issue, value)}`;
}

function entryName(part: string): string {
  return /^\d+$/.test(part) ? `entry ${Number(part) + 1}` : part;
}

function valueAt(settings: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], settings);
}

/** What a value has to be, as the rest of a sentence. */
function demand(issue: Issue, flag: Flag | undefined): string {
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
      return `must be ${flag?.placeholder.replaceAll(/[<>[\]]/g, "").replaceAll("|", " or ") ?? "another kind of value"}`;
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
    boolean: "yes or no",
  };
  return names[expected] ?? expected;
}

function article(noun: string): string {
  if (noun === "text" || noun === "yes or no") return noun;
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}

function nearestChoice(issue: Issue, value: unknown): string {
  return issue.code === "invalid_value" && typeof value === "string"
    ? suggestion(value, issue.values.map(String), "")
    : "";
}
