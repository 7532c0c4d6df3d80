/** A number that Python calls `float`: whole ones are written `2.0`. Plain numbers are Python's `int`. */
export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** Python's tuple, which differs from a list in how it is written. */
export class Tuple extends Array<Value> {}

/** A tuple of these values. */
export function tupleOf(values: Iterable<Value>): Tuple {
  const tuple = new Tuple();
  for (const value of values) tuple.push(value);
  return tuple;
}

/** Something that a template can call: a macro, a method, a function. */
export class Callable {
  readonly name: string;
  readonly call: (positional: readonly Value[], named: ReadonlyMap<string, Value>) => Value;

  constructor(name: string, call: Callable["call"]) {
    this.name = name;
    this.call = call;
  }
}

/** What has attributes and nothing else: `loop`, and what `namespace()` gives. */
export class Attributes {
  readonly name: string;
  readonly values: Map<string, Value>;

  constructor(name: string, values: Iterable<readonly [string, Value]>) {
    this.name = name;
    this.values = new Map(values);
  }
}

/** A name without a value. Printing, comparing or walking a strict one is an error; others count as empty. */
export class Undefined {
  /** As messages put it: `'x' is undefined`. */
  readonly hint: string;
  readonly isStrict: boolean;

  constructor(hint: string, isStrict: boolean) {
    this.hint = hint;
    this.isStrict = isStrict;
  }
}

/** Python's dict. Keys keep the order in which they came. */
export type Dict = Map<string | number | boolean | null, Value>;

/** A value of a template, as Python has it. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Float
  | Value[]
  | Dict
  | Callable
  | Attributes
  | Undefined;

/** Why a template cannot be read or run. Whoever runs it says where it is from. */
export class JinjaError extends Error {
  override readonly name = "JinjaError";
}

/** A name was used that has no value. */
export class UndefinedError extends JinjaError {}

/**
 * What JSON, a column or a caller holds, as Python's value: numbers with a fraction are floats, whole ones integers,
 * objects dicts in the order of their keys, functions callables of their positional arguments.
 */
export function toValue(input: unknown): Value {
  if (input === null || typeof input === "boolean" || typeof input === "string") return input;
  if (typeof input === "number") return Number.isInteger(input) ? input : new Float(input);
  if (typeof input === "bigint") return Number.isSafeInteger(Number(input)) ? Number(input) : input;
  if (input === undefined) return new Undefined("a value is undefined", false);
  if (input instanceof Date) return input.toISOString();
  if (typeof input === "function") {
    return new Callable(input.name, (positional) => toValue(input(...positional)));
  }
  if (isMade(input)) return input;
  if (Array.isArray(input)) return input.map(toValue);
  if (ArrayBuffer.isView(input)) return Array.from(input as unknown as ArrayLike<number>, toValue);
  return new Map(Object.entries(input as object).map(([key, value]) => [key, toValue(value)]));
}

function isMade(input: unknown): input is Float | Dict | Callable | Attributes | Undefined {
  return [Float, Map, Callable, Attributes, Undefined].some((kind) => input instanceof kind);
}

/** Python's name of a value's type, for messages. */
export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number" || typeof value === "bigint") return "int";
  if (typeof value === "string") return "str";
  if (value instanceof Float) return "float";
  if (value instanceof Tuple) return "tuple";
  if (Array.isArray(value)) return "list";
  if (value instanceof Map) return "dict";
  if (value instanceof Attributes) return value.name;
  return value instanceof Callable ? "function" : "Undefined";
}

/** The number that a value counts as; null where it is none. Booleans are 0 and 1, as in Python. */
export function numberOf(value: Value): number | null {
  if (typeof value === "number") return value;
  if (typeof value === "boolean" || typeof value === "bigint") return Number(value);
  return value instanceof Float ? value.value : null;
}

/** Whether a value counts as true: all but None, False, zero and what is empty. */
export function isTruthy(value: Value): boolean {
  if (value instanceof Undefined) return refuseStrict(value) !== null;
  if (typeof value === "string" || Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  const number = numberOf(value);
  return number === null ? value !== null : number !== 0;
}

/** @throws {UndefinedError} when the undefined value is strict. */
export function refuseStrict(value: Undefined): null {
  if (value.isStrict) throw new UndefinedError(value.hint);
  return null;
}

/** Python's `==`: lists and dicts by what they hold, 1 and 1.0 and True alike. */
export function isEqual(a: Value, b: Value): boolean {
  for (const side of [a, b]) if (side instanceof Undefined) refuseStrict(side);
  if (a instanceof Undefined || b instanceof Undefined) return a instanceof Undefined && b instanceof Undefined;
  if (typeof a === "bigint" && typeof b === "bigint") return a === b;
  const [left, right] = [numberOf(a), numberOf(b)];
  if (left !== null || right !== null) return left === right;
  return Array.isArray(a) && Array.isArray(b) ? areEqualLists(a, b) : areEqualDicts(a, b);
}

function areEqualLists(a: readonly Value[], b: readonly Value[]): boolean {
  const isSameKind = a instanceof Tuple === b instanceof Tuple && a.length === b.length;
  return isSameKind && a.every((value, i) => isEqual(value, b[i] ?? null));
}

function areEqualDicts(a: Value, b: Value): boolean {
  if (!(a instanceof Map && b instanceof Map)) return a === b;
  return a.size === b.size && [...a].every(([key, value]) => b.has(key) && isEqual(value, b.get(key) ?? null));
}

/**
 * Below 0 where `a` is smaller, above 0 where it is larger.
 *
 * @throws {JinjaError} for values that have no order, as Python does.
 */
export function compare(a: Value, b: Value): number {
  for (const side of [a, b]) if (side instanceof Undefined) refuseStrict(side);
  const [left, right] = [numberOf(a), numberOf(b)];
  if (left !== null && right !== null) return left - right;
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  if (Array.isArray(a) && Array.isArray(b)) {
    const at = a.findIndex((value, i) => i >= b.length || !isEqual(value, b[i] ?? null));
    return at < 0 || at >= b.length ? a.length - b.length : compare(a[at] ?? null, b[at] ?? null);
  }
  throw new JinjaError(`'<' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
}

/** By code points, where JavaScript compares the halves of surrogate pairs. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const [left, right] = [[...a], [...b]];
  const at = left.findIndex((character, i) => character !== right[i]);
  if (at < 0) return -1;
  return (left[at]?.codePointAt(0) ?? -1) - (right[at]?.codePointAt(0) ?? -1);
}
