import type { Dict, Value } from "./values.ts";
import { Attributes, Callable, Float, JinjaError, refuseStrict, Tuple, Undefined } from "./values.ts";

/** A value as Python's `str` writes it: `True`, `None`, `2.0`, `['a', 'b']`; texts as they are. */
export function pythonStr(value: Value): string {
  if (typeof value === "string") return value;
  if (!(value instanceof Undefined)) return pythonRepr(value);
  refuseStrict(value);
  return "";
}

/** A value as Python's `repr` writes it: texts in quotation marks, the rest as {@link pythonStr}. */
export function pythonRepr(value: Value): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number" || typeof value === "bigint") return wholeText(value);
  if (typeof value === "string") return quoted(value);
  if (value instanceof Float) return floatText(value.value);
  if (value instanceof Tuple) {
    const inner = Array.from(value, pythonRepr).join(", ");
    return value.length === 1 ? `(${inner},)` : `(${inner})`;
  }
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(", ")}]`;
  if (value instanceof Map) return `{${[...value].map(([k, v]) => `${pythonRepr(k)}: ${pythonRepr(v)}`).join(", ")}}`;
  if (value instanceof Attributes || value instanceof Callable) return `<${value.name}>`;
  refuseStrict(value);
  return "Undefined";
}

/** A float as Python writes it: the shortest digits that give it back, with an exponent below 1e-4 and from 1e16 on. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const [mantissa = "", exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (value !== 0 && (power < -4 || power >= 16)) {
    return `${mantissa}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  if (power >= 0) return Number.isInteger(value) ? `${BigInt(value)}.0` : String(value);
  const digits = mantissa.replace(/[-.]/g, "");
  return `${value < 0 ? "-" : ""}0.${"0".repeat(-power - 1)}${digits}`;
}

/** How Python's `json.dumps` writes. */
export interface JsonStyle {
  /** Spaces of each level, one entry a line; null is one line. */
  readonly indent?: number | null;
  /** Writes characters beyond ASCII as `\uXXXX`. */
  readonly ensureAscii?: boolean;
  readonly sortKeys?: boolean;
  /** Between entries, and between key and value. */
  readonly separators?: readonly [string, string];
}

/**
 * A value as Python's `json.dumps` writes it.
 *
 * @throws {JinjaError} for what JSON cannot say, such as a function.
 */
export function pythonJson(value: Value, style: JsonStyle = {}, depth = 0): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number" || typeof value === "bigint") return wholeText(value);
  if (value instanceof Float) return jsonFloat(value.value);
  if (typeof value === "string") return jsonText(value, style.ensureAscii ?? false);
  const { indent = null, separators = [indent === null ? ", " : ",", ": "] } = style;
  const enclose = (open: string, parts: readonly string[], close: string): string => {
    if (parts.length === 0) return open + close;
    if (indent === null) return open + parts.join(separators[0]) + close;
    const line = `\n${" ".repeat(indent * (depth + 1))}`;
    return `${open}${line}${parts.join(separators[0] + line)}\n${" ".repeat(indent * depth)}${close}`;
  };
  if (Array.isArray(value))
    return enclose(
      "[",
      Array.from(value, (item) => pythonJson(item, style, depth + 1)),
      "]",
    );
  if (value instanceof Map) {
    const parts = entriesOf(value, style.sortKeys ?? false).map(
      ([key, item]) => jsonText(key, style.ensureAscii ?? false) + separators[1] + pythonJson(item, style, depth + 1),
    );
    return enclose("{", parts, "}");
  }
  if (value instanceof Undefined) refuseStrict(value);
  throw new JinjaError("a value that is undefined or a function cannot be written as JSON");
}

function entriesOf(dict: Dict, isSorted: boolean): (readonly [string, Value])[] {
  const entries = [...dict].map(([key, value]) => [typeof key === "string" ? key : pythonJson(key), value] as const);
  return isSorted ? entries.toSorted(([a], [b]) => (a < b ? -1 : 1)) : entries;
}

function wholeText(value: number | bigint): string {
  return typeof value === "number" && Math.abs(value) >= 1e21 ? String(BigInt(value)) : String(value);
}

function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  return floatText(value);
}

function jsonText(text: string, ensureAscii: boolean): string {
  const written = JSON.stringify(text);
  if (!ensureAscii) return written;
  return written.replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** In single quotation marks, or in double ones where the text has single ones and no double ones. */
function quoted(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = text.replaceAll(/[\\\n\r\t]|[\p{C}\p{Z}]/gu, (character) => {
    if (character === " ") return character;
    const known = escapes[character];
    if (known) return known;
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
    return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
  });
  return mark + (mark === "'" ? inner.replaceAll("'", "\\'") : inner) + mark;
}
