import { readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import type { Flag } from "../core/flags.ts";
import { kebabCase } from "../core/flags.ts";
import { suggestion } from "../core/nearest.ts";
import { UsageError } from "./usage-error.ts";

/**
 * Settings from a YAML file, by key of the schema. Keys may be spelled like flags, like the schema or in snake_case.
 * A single value may stand for a list of one. A run's `settings.json` is such a file too: what it ran with is taken.
 *
 * @throws {UsageError} when the file cannot be read, is no mapping, or names a setting that does not exist.
 */
export function readSettingsFile(path: string, flags: readonly Flag[], command: string): Record<string, unknown> {
  const known = new Map(flags.flatMap((flag) => [flag.name, ...flag.otherNames].map((name) => [name, flag])));
  const settings: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(readMapping(path, command))) {
    const flag = known.get(kebabCase(name));
    if (flag === undefined) {
      const names = flags.flatMap((flag) => [flag.key, flag.name]);
      const otherwise = `; stemma ${command} --help lists them`;
      throw new UsageError(`${command}: unknown setting ${name} in ${path}${suggestion(name, names, otherwise)}`);
    }
    settings[flag.key] = flag.isList && isScalar(value) ? [value] : value;
  }
  return settings;
}

function readMapping(path: string, command: string): object {
  const value = parseYaml(readText(path, command), (error) => {
    const line = error.message.split("\n")[0]?.replace(/:$/, "");
    return new UsageError(`${command}: ${path} is no valid YAML: ${line}; write one "key: value" a line`, {
      cause: error,
    });
  });
  if (value === null) return {};
  if (!isMapping(value)) {
    throw new UsageError(`${command}: ${path} holds ${JSON.stringify(value)}; write one "key: value" a line`);
  }
  const isRunRecord = "command" in value && "settings" in value && isMapping(value.settings);
  return isRunRecord ? (value.settings as object) : value;
}

/** The value of a document. `fail` makes the error for one that is wrong, or nests deeper than the stack. */
function parseYaml(text: string, fail: (error: Error) => Error): unknown {
  try {
    const document = parseDocument(text, { prettyErrors: true });
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS();
  } catch (error) {
    throw error instanceof Error ? fail(error) : error;
  }
}

/** One value where a list is expected is a list of one, as on the command line. */
function isScalar(value: unknown): boolean {
  return value !== null && typeof value !== "object";
}

function isMapping(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readText(path: string, command: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    const known: Readonly<Record<string, string>> = { ENOENT: "does not exist", EISDIR: "is a folder, not a file" };
    const what = known[reason] ?? `cannot be read (${reason})`;
    throw new UsageError(`${command}: --config ${path} ${what}; check the path`, { cause: error });
  }
}
