import { DataError } from "../core/errors.ts";
import { pythonLiteral } from "../text/jinja/literal.ts";
import { pythonStr } from "../text/jinja/python-text.ts";
import type { Filter } from "../text/jinja/runtime.ts";
import { Template } from "../text/jinja/template.ts";
import type { Value } from "../text/jinja/values.ts";
import { JinjaError, UndefinedError } from "../text/jinja/values.ts";
import type { Doc } from "./doc-table.ts";
import { PythonPattern } from "./python-pattern.ts";

const compiled = new Map<string, Template>();

/** `value | regex_replace(pattern, replacement, count)`: Python's `re.sub`, which the harness adds to Jinja's filters. */
const regexReplace: Filter = (value, given) => {
  const pattern = new PythonPattern("regex_replace", given.text(0, "pattern"));
  return pattern.replace(pythonStr(value), given.text(1, "repl"), given.integer(2, "count", 0));
};

/**
 * What a task's field gives for one row: the value of a column, if it names one, or the text of a Jinja template over the
 * columns.
 *
 * @throws {DataError} when it is not valid Jinja, fails on the row, or names a column that is not there.
 */
export function fieldValue(where: string, source: string, doc: Doc): Value {
  if (Object.hasOwn(doc, source)) return doc[source] ?? null;
  const template = compile(where, source);
  try {
    return template.render(doc).text;
  } catch (error) {
    const columns = Object.keys(doc).join(", ");
    const shown = JSON.stringify(source);
    if (error instanceof UndefinedError) {
      throw new DataError(
        `${where}: the template ${shown} asks for what the row does not have: ${error.message}; its columns are ${columns}`,
        { cause: error },
      );
    }
    const reason = (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ");
    throw new DataError(`${where}: the template ${shown} fails on a row with columns ${columns}: ${reason}`, {
      cause: error,
    });
  }
}

/** {@link fieldValue} as a text; a column that holds something else as Python writes it. */
export function fieldText(where: string, source: string, doc: Doc): string {
  return pythonStr(fieldValue(where, source, doc));
}

/** {@link fieldValue}, where a template writes a list as Python does: `{{choices.text}}`, `["yes", "no"]`. */
export function fieldList(where: string, source: string, doc: Doc): Value {
  const value = fieldValue(where, source, doc);
  if (typeof value !== "string" || Object.hasOwn(doc, source)) return value;
  return pythonLiteral(value) ?? value;
}

function compile(where: string, source: string): Template {
  const known = compiled.get(source);
  if (known) return known;
  try {
    const options = { isStrict: true, keepTrailingNewline: true, filters: { regex_replace: regexReplace } };
    const made = new Template(source, options);
    compiled.set(source, made);
    return made;
  } catch (error) {
    if (!(error instanceof JinjaError)) throw error;
    throw new DataError(
      `${where}: ${JSON.stringify(source)} is not a valid Jinja template (${error.message}); correct it`,
      { cause: error },
    );
  }
}
