import { pythonRepr, pythonStr } from "./python-text.ts";
import type { Given } from "./runtime.ts";
import { repeat } from "./runtime.ts";
import type { Value } from "./values.ts";
import { JinjaError, numberOf, Tuple, typeName } from "./values.ts";

/** How one value is written into a format. */
interface FormatSpec {
  readonly fill: string;
  readonly align: string;
  readonly sign: string;
  readonly width: number;
  readonly isGrouped: boolean;
  readonly precision: number | null;
  readonly type: string;
}

/** Python's two ways to put values into a text, as far as prompts use them. */
export const printf = { percent, braces } as const;

const percentPart = /%(?:\((\w+)\))?([-+ 0]*)(\d*)(?:\.(\d+))?([a-zA-Z%])/g;

/** `'%s has %d' % (a, b)`. */
function percent(text: string, given: Value): string {
  const values = given instanceof Tuple ? Array.from(given) : [given];
  let next = 0;
  const out = text.replaceAll(percentPart, (...parts) => {
    const [, name, flags = "", width = "", precision, type = "s"] = parts as (string | undefined)[];
    if (type === "%") return "%";
    const value = name !== undefined && given instanceof Map ? given.get(name) : values[next++];
    if (value === undefined) throw new JinjaError("not enough arguments for format string");
    return written(value, percentSpec(flags, width, precision, type));
  });
  if (next < values.length && !(given instanceof Map)) {
    throw new JinjaError("not all arguments converted during string formatting");
  }
  return out;
}

function percentSpec(flags: string, width: string, precision: string | undefined, type: string): FormatSpec {
  return {
    ...{ fill: flags.includes("0") ? "0" : " ", align: flags.includes("-") ? "<" : ">" },
    ...{ sign: flags.includes("+") ? "+" : "", width: Number(width), isGrouped: false },
    ...{ precision: precision === undefined ? null : Number(precision), type: type === "i" ? "d" : type },
  };
}

const bracePart = /\{\{|\}\}|\{(\w*)(?:!([rs]))?(?::([^{}]*))?\}/g;
const spec = /^(?:(.)?([<>^=]))?([-+ ]?)(0?)(\d*)(,?)(?:\.(\d+))?([sdfgexob%]?)$/u;

/** `'{} has {1:.2f}'.format(a, b)`. */
function braces(text: string, given: Given): string {
  let next = 0;
  return text.replaceAll(bracePart, (whole, name?: string, conversion?: string, format = "") => {
    if (whole === "{{" || whole === "}}") return whole.slice(1);
    const key = name === "" ? String(next++) : (name ?? "");
    const value = /^\d+$/.test(key) ? given.positional[Number(key)] : given.named.get(key);
    if (value === undefined) throw new JinjaError(`format: there is no argument ${key}`);
    return written(conversion === "r" ? pythonRepr(value) : value, braceSpec(format, numberOf(value) !== null));
  });
}

function braceSpec(format: string, isNumber: boolean): FormatSpec {
  const found = spec.exec(format);
  if (!found) throw new JinjaError(`format: the format ${JSON.stringify(format)} is not supported`);
  const [, fill, align, sign = "", zero = "", width = "", group = "", precision, type = ""] = found;
  return {
    ...{ fill: fill ?? (zero === "" ? " " : "0"), align: align ?? (isNumber ? ">" : "<"), sign, width: Number(width) },
    ...{ isGrouped: group !== "", precision: precision === undefined ? null : Number(precision), type },
  };
}

function written(value: Value, { fill, align, sign, width, isGrouped, precision, type }: FormatSpec): string {
  const bare = bareText(value, type, precision);
  const grouped = isGrouped ? bare.replace(/^-?\d+/, (digits) => digits.replaceAll(/\B(?=(?:\d{3})+$)/g, ",")) : bare;
  const signed = sign === "+" && !grouped.startsWith("-") && numberOf(value) !== null ? `+${grouped}` : grouped;
  const missing = Math.max(0, width - [...signed].length);
  if (align === "<") return signed + repeat(fill, missing);
  if (align === "^") return repeat(fill, Math.floor(missing / 2)) + signed + repeat(fill, Math.ceil(missing / 2));
  if (fill === "0" && /^[-+]/.test(signed)) return signed[0] + repeat(fill, missing) + signed.slice(1);
  return repeat(fill, missing) + signed;
}

function bareText(value: Value, type: string, precision: number | null): string {
  if (type === "r") return pythonRepr(value);
  if (type === "s" || (type === "" && precision === null)) {
    const text = pythonStr(value);
    return precision === null ? text : [...text].slice(0, precision).join("");
  }
  const number = numberOf(value);
  if (number === null) throw new JinjaError(`format %${type} needs a number, not ${typeName(value)}`);
  return numberText(number, type, precision);
}

function numberText(number: number, type: string, precision: number | null): string {
  if (type === "d") return String(Math.trunc(number));
  if (type === "f") return fixed(number, precision ?? 6);
  if (type === "%") return `${fixed(100 * number, precision ?? 6)}%`;
  if (type === "e") return twoDigitExponent(number.toExponential(precision ?? 6));
  if (type === "g") return general(number, Math.max(1, precision ?? 6));
  const base = { x: 16, o: 8, b: 2 }[type];
  if (base !== undefined) return Math.trunc(number).toString(base);
  throw new JinjaError(`format %${type} is not supported; use s, d, f, e, g, x, o or r`);
}

/** So many digits behind the point; a number in the middle of two goes to the even one, where `toFixed` goes up. */
function fixed(number: number, digits: number): string {
  const places = Math.min(digits, 40);
  const exact = number.toFixed(100);
  const cut = exact.length - 100 + places;
  const [kept, rest] = [exact.slice(0, cut).replace(/\.$/, ""), exact.slice(cut)];
  const isEven = /[02468]$/.test(kept);
  return isEven && /^\.?50*$/.test(rest) ? kept : number.toFixed(places);
}

/** The shorter of digits and exponent, without zeros at the end. */
function general(number: number, digits: number): string {
  const [mantissa = "", power = "0"] = number.toExponential(digits - 1).split("e");
  const bare = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  if (Number(power) < -4 || Number(power) >= digits) return twoDigitExponent(`${bare(mantissa)}e${power}`);
  return bare(number.toFixed(Math.max(0, digits - 1 - Number(power))));
}

function twoDigitExponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}
