import { Template } from "@huggingface/jinja";
import { DataError } from "../core/errors.ts";
import type { Doc } from "./task-docs.ts";

const compiled = new Map<string, Template>();

/** A list's `index`, which Python has and this Jinja has not: `X.index(Y)` is written `index_of(X, Y)`. */
const indexCall = /([A-Za-z_][\w.]*(?:\[[^\]]*\])*)\.index\(/g;

/** Functions that templates may call beside those of Jinja. Items of a list come wrapped. */
const functions = {
  index_of: (list: readonly { readonly value: unknown }[], item: unknown): number =>
    list.findIndex(({ value }) => value === item),
};

/**
 * A task's field for one row: a column of that name, or a Jinja template over the columns.
 *
 * @throws {DataError} when it is not valid Jinja, or fails on the row.
 */
export function fieldText(where: string, source: string, doc: Doc): string {
  if (Object.hasOwn(doc, source)) return String(doc[source]);
  try {
    return compile(where, source).render({ ...functions, ...doc });
  } catch (error) {
    if (error instanceof DataError) throw error;
    const reason = (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ");
    throw new DataError(
      `${where}: the template ${JSON.stringify(source)} fails on a row with columns ${Object.keys(doc).join(", ")}: ${reason}`,
      { cause: error },
    );
  }
}

/**
 * A task's field for one row as a value: what a column holds or what the one expression of a template gives; a text
 * otherwise.
 */
export function fieldValue(where: string, source: string, doc: Doc): unknown {
  if (Object.hasOwn(doc, source)) return doc[source];
  const expression = /^\{\{-?((?:(?!\}\})[\s\S])*?)-?\}\}$/.exec(source)?.[1];
  if (expression === undefined) return fieldText(where, source, doc);
  const text = fieldText(where, `{{ (${expression}) | tojson }}`, doc);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return fieldText(where, source, doc); // nothing that JSON can say, such as an undefined value
  }
}

function compile(where: string, source: string): Template {
  const known = compiled.get(source);
  if (known) return known;
  try {
    // This Jinja drops the last line end, and one behind each tag, where the harness's keeps them.
    const kept = source.replaceAll(/([^-])%\}\n/g, "$1%}\n\n");
    const made = new Template(`${kept.replaceAll(indexCall, "index_of($1, ")}\n`);
    compiled.set(source, made);
    return made;
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ");
    throw new DataError(`${where}: ${JSON.stringify(source)} is not a valid Jinja template (${reason}); correct it`, {
      cause: error,
    });
  }
}
