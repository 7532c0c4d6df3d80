import { printf } from "./printf.ts";
import { pythonStr } from "./python-text.ts";
import type { Given, Runtime } from "./runtime.ts";
import { itemsOf, repeat } from "./runtime.ts";
import type { Value } from "./values.ts";
import { JinjaError, tupleOf } from "./values.ts";

/** A method of Python's `str`. */
type StringMethod = (text: string, given: Given, runtime: Runtime) => Value;

/** What Python calls white space. JavaScript counts U+FEFF too and leaves out U+001C to U+001F and U+0085. */
export const pythonSpace = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const leading = new RegExp(`^[${pythonSpace}]+`);
const words = new RegExp(`[^${pythonSpace}]+`, "g");
const onlySpace = new RegExp(`^[${pythonSpace}]+$`);

/** Without the characters of a set, or white space, at its beginning, its end or both. */
export function strip(text: string, characters: string | null, sides: "left" | "right" | "both" = "both"): string {
  const set = characters === null ? null : new Set(characters);
  const isTaken = (character: string): boolean => (set ? set.has(character) : leading.test(character));
  const all = [...text];
  let [start, end] = [0, all.length];
  if (sides !== "right") while (start < end && isTaken(all[start]!)) start += 1;
  if (sides !== "left") while (end > start && isTaken(all[end - 1]!)) end -= 1;
  return all.slice(start, end).join("");
}

/** Python's `str.split`: by white space where no separator is given. */
export function split(text: string, separator: string | null, most = -1): string[] {
  if (separator === "") throw new JinjaError("empty separator");
  if (separator !== null) {
    const parts = text.split(separator);
    return most < 0 || parts.length <= most + 1 ? parts : [...parts.slice(0, most), parts.slice(most).join(separator)];
  }
  const found = [...text.matchAll(words)];
  if (most < 0 || found.length <= most) return found.map(([word]) => word);
  const rest = strip(text.slice(found[most]?.index), null, "left");
  return [...found.slice(0, most).map(([word]) => word), rest];
}

function splitFromRight(text: string, separator: string | null, most: number): string[] {
  const all = split(text, separator);
  if (most < 0 || all.length <= most + 1) return all;
  if (separator !== null) return [all.slice(0, -most || undefined).join(separator), ...all.slice(all.length - most)];
  const found = [...text.matchAll(words)];
  const cut = found.at(-most - 1) as RegExpExecArray;
  return [text.slice(0, cut.index + cut[0].length), ...all.slice(all.length - most)];
}

/** Upper case for the first character of the text, lower case for the others. */
export function capitalize(text: string): string {
  const [first = "", ...rest] = text;
  return first.toUpperCase() + rest.join("").toLowerCase();
}

/** Python's `str.replace`; a negative count is all. */
export function replace(text: string, old: string, by: string, count = -1): string {
  if (count < 0 && old !== "") return text.replaceAll(old, () => by);
  const parts = old === "" ? ["", ...text, ""] : text.split(old);
  if (count < 0) return parts.join(by);
  const head = parts.slice(0, count + 1).join(by);
  return parts.length <= count + 1 ? head : head + old + parts.slice(count + 1).join(old);
}

const find = (text: string, given: Given, from: "left" | "right"): number => {
  const wanted = given.text(0, "sub");
  const characters = [...text];
  const [start, end] = [given.integer(1, "start", 0), given.integer(2, "end", characters.length)];
  const window = characters.slice(start, end).join("");
  const at = from === "left" ? window.indexOf(wanted) : window.lastIndexOf(wanted);
  const before = start < 0 ? Math.max(0, characters.length + start) : start;
  return at < 0 ? -1 : before + [...window.slice(0, at)].length;
};

const found = (text: string, given: Given, from: "left" | "right"): number => {
  const at = find(text, given, from);
  if (at < 0) throw new JinjaError("substring not found");
  return at;
};

const beginsOrEnds = (text: string, given: Given, isSo: (window: string, part: string) => boolean): boolean => {
  const bounds = [given.at(1, "start") ?? null, given.at(2, "end") ?? null];
  const isWhole = bounds.every((bound) => bound === null);
  const window = isWhole ? text : [...text].slice(given.integer(1, "start", 0), end(given)).join("");
  const parts = given.at(0, "prefix");
  return Array.isArray(parts)
    ? parts.some((part) => isSo(window, pythonStr(part)))
    : isSo(window, given.text(0, "prefix"));
};

function end(given: Given): number | undefined {
  return (given.at(2, "end") ?? null) === null ? undefined : given.integer(2, "end");
}

const pad = (text: string, given: Given, side: "left" | "right" | "both"): string => {
  const width = given.integer(0, "width");
  const missing = Math.max(0, width - [...text].length);
  const fill = given.text(1, "fillchar", " ");
  // Python's own rule where the two sides cannot be alike.
  const half = Math.floor(missing / 2) + (missing & width & 1);
  const before = side === "left" ? missing : side === "right" ? 0 : half;
  return repeat(fill, before) + text + repeat(fill, missing - before);
};

const partition = (text: string, given: Given, at: (separator: string) => number, isLast: boolean): Value => {
  const separator = given.text(0, "sep");
  const place = at(separator);
  if (place < 0) return tupleOf(isLast ? ["", "", text] : [text, "", ""]);
  return tupleOf([text.slice(0, place), separator, text.slice(place + separator.length)]);
};

const characters = (given: Given): string | null => {
  const value = given.at(0, "chars") ?? null;
  return value === null ? null : given.text(0, "chars");
};
const separator = (given: Given): string | null => {
  const value = given.at(0, "sep") ?? null;
  return value === null ? null : given.text(0, "sep");
};
const isAll = (pattern: RegExp): StringMethod => {
  return (text) => pattern.test(text);
};

/** Characters that end a line for Python: more than U+000A. */
const lineEndCharacters = "\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029";
const lineEnd = new RegExp(`\\r\\n|[${lineEndCharacters}]`, "g");

function splitLines(text: string, keepsEnds: boolean): string[] {
  const lines: string[] = [];
  let start = 0;
  for (const { index, 0: end } of text.matchAll(lineEnd)) {
    lines.push(text.slice(start, keepsEnds ? index + end.length : index));
    start = index + end.length;
  }
  return start < text.length ? [...lines, text.slice(start)] : lines;
}

/** Methods of texts, by name. */
export const stringMethods: Readonly<Record<string, StringMethod>> = {
  upper: (text) => text.toUpperCase(),
  lower: (text) => text.toLowerCase(),
  casefold: (text) => text.toLowerCase().replaceAll("ß", "ss"),
  capitalize,
  title: (text) => text.replaceAll(/\p{L}+/gu, capitalize),
  swapcase: (text) => Array.from(text, (c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase())).join(""),
  strip: (text, given) => strip(text, characters(given)),
  lstrip: (text, given) => strip(text, characters(given), "left"),
  rstrip: (text, given) => strip(text, characters(given), "right"),
  split: (text, given) => split(text, separator(given), given.integer(1, "maxsplit", -1)),
  rsplit: (text, given) => splitFromRight(text, separator(given), given.integer(1, "maxsplit", -1)),
  splitlines: (text, given) => splitLines(text, given.at(0, "keepends") === true),
  replace: (text, given) => replace(text, given.text(0, "old"), given.text(1, "new"), given.integer(2, "count", -1)),
  join: (text, given, runtime) =>
    itemsOf(given.positional[0] ?? null, runtime)
      .map(joined)
      .join(text),
  startswith: (text, given) => beginsOrEnds(text, given, (window, part) => window.startsWith(part)),
  endswith: (text, given) => beginsOrEnds(text, given, (window, part) => window.endsWith(part)),
  removeprefix: (text, given) =>
    text.startsWith(given.text(0, "prefix")) ? text.slice(given.text(0, "prefix").length) : text,
  removesuffix: (text, given) => {
    const suffix = given.text(0, "suffix");
    return suffix !== "" && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
  },
  find: (text, given) => find(text, given, "left"),
  rfind: (text, given) => find(text, given, "right"),
  index: (text, given) => found(text, given, "left"),
  rindex: (text, given) => found(text, given, "right"),
  count: (text, given) => {
    const part = given.text(0, "sub");
    return part === "" ? [...text].length + 1 : text.split(part).length - 1;
  },
  center: (text, given) => pad(text, given, "both"),
  ljust: (text, given) => pad(text, given, "right"),
  rjust: (text, given) => pad(text, given, "left"),
  zfill: (text, given) => {
    const sign = /^[-+]/.exec(text)?.[0] ?? "";
    return sign + repeat("0", given.integer(0, "width") - [...text].length) + text.slice(sign.length);
  },
  partition: (text, given) => partition(text, given, (sep) => text.indexOf(sep), false),
  rpartition: (text, given) => partition(text, given, (sep) => text.lastIndexOf(sep), true),
  isdigit: isAll(/^[\p{Nd}²³¹⁰-⁹₀-₉]+$/u),
  isdecimal: isAll(/^\p{Nd}+$/u),
  isnumeric: isAll(/^\p{N}+$/u),
  isalpha: isAll(/^\p{L}+$/u),
  isalnum: isAll(/^[\p{L}\p{N}]+$/u),
  isspace: isAll(onlySpace),
  isupper: (text) => text === text.toUpperCase() && text !== text.toLowerCase(),
  islower: (text) => text === text.toLowerCase() && text !== text.toUpperCase(),
  format: (text, given) => printf.braces(text, given),
};

function joined(item: Value): string {
  if (typeof item === "string") return item;
  throw new JinjaError("join: every item of the sequence must be a text");
}
