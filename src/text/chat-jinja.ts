import { pythonJson, pythonStr } from "./jinja/python-text.ts";
import type { Filter } from "./jinja/runtime.ts";
import { strftime } from "./jinja/strftime.ts";
import { Template } from "./jinja/template.ts";
import type { Value } from "./jinja/values.ts";
import { isTruthy, JinjaError } from "./jinja/values.ts";

/** Longest chat template, in UTF-16 units: some fifty times the longest that models have. */
const longestTemplate = 2 ** 20;

/**
 * A chat template as `transformers` reads it: line ends behind tags and blanks before them are dropped.
 *
 * @throws {JinjaError} naming the line, when it is not valid, or too long.
 */
export function readChatJinja(source: string): Template {
  if (source.length > longestTemplate) {
    throw new JinjaError(`has ${source.length} characters, a template may have ${longestTemplate}`);
  }
  return new Template(source, { trimBlocks: true, lstripBlocks: true, filters: { tojson } });
}

/** Functions that chat templates may call beside Jinja's own. */
export const chatFunctions = {
  raise_exception(message: Value = null): never {
    throw new JinjaError(pythonStr(message));
  },
  strftime_now: (format: Value = ""): string => strftime(new Date(), pythonStr(format)),
} as const;

/** `json.dumps` as `transformers` gives it to templates: no character is escaped for web pages. */
const tojson: Filter = (value, given) => {
  const indent = given.at(1, "indent") ?? null;
  const separators = given.at(2, "separators") ?? null;
  const [item, key] = Array.isArray(separators) ? separators.map(pythonStr) : [];
  return pythonJson(value, {
    indent: indent === null ? null : given.integer(1, "indent"),
    ensureAscii: isTruthy(given.at(0, "ensure_ascii") ?? false),
    sortKeys: isTruthy(given.at(3, "sort_keys") ?? false),
    ...(item !== undefined && key !== undefined ? { separators: [item, key] as const } : {}),
  });
};
