import { suggestion } from "../core/nearest.ts";
import type { SchemaIssue } from "../core/schema-demand.ts";
import { schemaDemand, shownValue, valueAt } from "../core/schema-demand.ts";
import { expandHome } from "../files/home-path.ts";
import type { Flag } from "./flags.ts";
import { askFor, flagsOf, isTooLarge, nameOf } from "./flags.ts";
import type { HubIo } from "./hub-models.ts";
import { withHubModels } from "./hub-models.ts";
import type { Request } from "./program.ts";
import { readSettingsFile } from "./settings-file.ts";
import { UsageError } from "./usage-error.ts";

/**
 * The settings that a request resolves to: command line over `--config` over what an earlier run left over defaults.
 * Models of the hub are fetched, if they are not there yet, and are folders from here on.
 *
 * @throws {UsageError} in one line that names each wrong setting as the user wrote it, its value and what is allowed.
 */
export async function resolveSettings(
  { command, given, config }: Request,
  io: HubIo,
): Promise<Record<string, unknown>> {
  const flags = flagsOf(command.settings);
  const filed = config === null ? {} : readSettingsFile(expandHome(config), flags, command.name);
  const asked = await withHubModels(withHome({ ...filed, ...given }, flags), flags, io);
  const remembered = (await command.remembered?.(asked)) ?? null;
  const merged = await withHubModels({ ...remembered?.settings, ...asked }, flags, io);
  const result = command.settings.safeParse(merged);
  if (result.success) return result.data;
  const label = (key: string): string => {
    if (key in filed && !(key in given)) return `${key} in ${config}`;
    const isRemembered = remembered !== null && key in remembered.settings && !(key in given);
    if (isRemembered) return `${key} in ${remembered.path}`;
    const flag = flags.find((candidate) => candidate.key === key);
    return flag === undefined ? key : nameOf(flag);
  };
  const problems = result.error.issues.map((issue) => describeIssue(issue, merged, flags, label));
  throw new UsageError(`${command.name}: ${[...new Set(problems)].join("; also ")}`);
}

function withHome(values: Readonly<Record<string, unknown>>, flags: readonly Flag[]): Record<string, unknown> {
  const expand = (value: unknown): unknown => {
    if (typeof value === "string") return expandHome(value);
    return Array.isArray(value) ? value.map(expand) : value;
  };
  const paths = flags.filter(({ key, isPath }) => isPath && key in values);
  return { ...values, ...Object.fromEntries(paths.map(({ key }) => [key, expand(values[key])])) };
}

function describeIssue(
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
