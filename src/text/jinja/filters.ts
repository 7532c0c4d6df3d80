import { attributeOf } from "./attributes.ts";
import { listFilters } from "./list-filters.ts";
import { printf } from "./printf.ts";
import { pythonJson, pythonStr } from "./python-text.ts";
import type { Filter } from "./runtime.ts";
import { itemsOf } from "./runtime.ts";
import { capitalize, replace, stringMethods, strip } from "./string-methods.ts";
import type { Value } from "./values.ts";
import { Float, isTruthy, JinjaError, numberOf, tupleOf, typeName, Undefined } from "./values.ts";

const html: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;" };

const escapeHtml: Filter = (value) => pythonStr(value).replaceAll(/[&<>'"]/g, (c) => html[c] ?? c);

const length: Filter = (value, _, runtime) => {
  if (value instanceof Map) return value.size;
  if (typeof value === "number" || value instanceof Float || value === null || typeof value === "boolean") {
    throw new JinjaError(`object of type '${typeName(value)}' has no len()`);
  }
  return itemsOf(value, runtime).length;
};

const fallback: Filter = (value, given) => {
  const isMissing = value instanceof Undefined || (given.at(1, "boolean") === true && !isTruthy(value));
  return isMissing ? (given.at(0, "default_value") ?? "") : value;
};

const integer: Filter = (value, given) => {
  const otherwise = given.at(0, "default") ?? 0;
  const number = numberOf(value);
  if (number !== null) return Number.isFinite(number) ? Math.trunc(number) : otherwise;
  if (typeof value !== "string") return otherwise;
  const base = given.integer(1, "base", 10);
  const text = strip(value, null).replaceAll(/(?<=\d)_(?=\d)/g, "");
  if (base !== 10) {
    const parsed = Number.parseInt(text.replace(/^0[xob]/i, ""), base);
    return Number.isNaN(parsed) ? otherwise : parsed;
  }
  if (/^[-+]?\d+$/.test(text)) return Number(text);
  const parsed = floatOf(text);
  return parsed === null || !Number.isFinite(parsed) ? otherwise : Math.trunc(parsed);
};

const float: Filter = (value, given) => {
  const number = numberOf(value) ?? (typeof value === "string" ? floatOf(strip(value, null)) : null);
  return number === null ? (given.at(0, "default") ?? new Float(0)) : new Float(number);
};

function floatOf(text: string): number | null {
  if (/^[-+]?inf(inity)?$/i.test(text))
    return text.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (/^[-+]?nan$/i.test(text)) return Number.NaN;
  return /^[-+]?(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text.replaceAll("_", "")) : null;
}

/** Halves go to the even neighbour, as Python rounds. */
const round: Filter = (value, given) => {
  const number = numberOf(value);
  if (number === null) throw new JinjaError(`round needs a number, not ${typeName(value)}`);
  const [precision, method] = [given.integer(0, "precision", 0), given.text(1, "method", "common")];
  const scale = 10 ** precision;
  const scaled = number * scale;
  if (method === "ceil") return new Float(Math.ceil(scaled) / scale);
  if (method === "floor") return new Float(Math.floor(scaled) / scale);
  if (precision === 0 && !(value instanceof Float)) return number;
  const isHalf = Math.abs(scaled % 1) === 0.5 && (precision === 0 || Number.isInteger(number * 2 ** (precision + 1)));
  if (isHalf) return new Float((2 * Math.round(scaled / 2)) / scale);
  return new Float(precision >= 0 ? Number(number.toFixed(Math.min(precision, 100))) : Math.round(scaled) / scale);
};

const indent: Filter = (value, given) => {
  const width = given.at(0, "width") ?? 4;
  const space =
    typeof width === "string" ? width : " ".repeat(Math.min(Math.max(0, given.integer(0, "width", 4)), 1000));
  const [first, blank] = [given.at(1, "first") === true, given.at(2, "blank") === true];
  const lines = pythonStr(value).split("\n");
  return lines.map((line, i) => ((i > 0 || first) && (blank || line !== "") ? space + line : line)).join("\n");
};

const truncate: Filter = (value, given) => {
  const text = pythonStr(value);
  const characters = [...text];
  const [most, end] = [given.integer(0, "length", 255), given.text(2, "end", "...")];
  if (characters.length <= most + given.integer(3, "leeway", 5)) return text;
  const cut = characters.slice(0, most - [...end].length).join("");
  if (given.at(1, "killwords") === true) return cut + end;
  return (cut.includes(" ") ? cut.slice(0, cut.lastIndexOf(" ")) : cut) + end;
};

const replaceText: Filter = (value, given) => {
  const count = given.at(2, "count") ?? null;
  const [old, by] = [pythonStr(given.at(0, "old") ?? ""), pythonStr(given.at(1, "new") ?? "")];
  return replace(pythonStr(value), old, by, count === null ? -1 : given.integer(2, "count"));
};

/** As Jinja's own `tojson`: keys sorted, safe inside HTML. Chat templates have another of that name. */
const htmlJson: Filter = (value, given) => {
  const width = given.at(0, "indent") ?? null;
  const style = { indent: width === null ? null : given.integer(0, "indent"), ensureAscii: true, sortKeys: true };
  return pythonJson(value, style).replaceAll(/[<>&']/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
};

const number = (of: (value: number) => number, name: string): Filter => {
  return (value) => {
    const given = numberOf(value);
    if (given === null) throw new JinjaError(`${name} needs a number, not ${typeName(value)}`);
    return value instanceof Float ? new Float(of(given)) : of(given);
  };
};

const attribute: Filter = (value, given, runtime): Value => attributeOf(value, given.text(0, "name"), runtime);

const title = (text: string): string =>
  text
    .split(/([-\s({[<]+)/)
    .map(capitalize)
    .join("");

const method = (name: string): Filter => {
  return (value, given, runtime) => stringMethods[name]?.(pythonStr(value), given, runtime) ?? "";
};

/** Filters that templates may use, `value | name`, by Jinja's names. */
export const filters: Readonly<Record<string, Filter>> = {
  ...listFilters,
  abs: number(Math.abs, "abs"),
  attr: attribute,
  capitalize: (value) => capitalize(pythonStr(value)),
  center: method("center"),
  ...{ count: length, length },
  ...{ default: fallback, d: fallback },
  ...{ escape: escapeHtml, e: escapeHtml },
  float,
  format: (value, given) =>
    printf.percent(pythonStr(value), given.named.size > 0 ? new Map(given.named) : tupleOf(given.positional)),
  indent,
  int: integer,
  items: (value) => {
    if (value instanceof Undefined) return [];
    if (value instanceof Map) return [...value].map(tupleOf);
    throw new JinjaError(`items needs a dict, not ${typeName(value)}`);
  },
  lower: method("lower"),
  replace: replaceText,
  round,
  safe: (value) => value,
  string: (value) => pythonStr(value),
  title: (value) => title(pythonStr(value)),
  tojson: htmlJson,
  trim: (value, given) =>
    strip(pythonStr(value), (given.at(0, "chars") ?? null) === null ? null : given.text(0, "chars")),
  truncate,
  upper: method("upper"),
  wordcount: (value) => (pythonStr(value).match(/[\p{L}\p{N}_]+/gu) ?? []).length,
};
