import type { Runtime } from "./runtime.ts";
import { Given, itemsOf, placeOf } from "./runtime.ts";
import { stringMethods } from "./string-methods.ts";
import type { Dict, Value } from "./values.ts";
import {
  Attributes,
  Callable,
  isEqual,
  JinjaError,
  Tuple,
  tupleOf,
  typeName,
  Undefined,
  UndefinedError,
} from "./values.ts";

/** A method of a value: what it is called on, and with what. */
type Method<Owner> = (owner: Owner, given: Given, runtime: Runtime) => Value;

const dictMethods: Readonly<Record<string, Method<Dict>>> = {
  get: (dict, given) => {
    const key = keyOf(given.positional[0] ?? null);
    return dict.has(key) ? (dict.get(key) ?? null) : (given.at(1, "default") ?? null);
  },
  items: (dict) => [...dict].map(tupleOf),
  keys: (dict) => [...dict.keys()],
  values: (dict) => [...dict.values()],
  copy: (dict) => new Map(dict),
  pop: (dict, given) => {
    const key = keyOf(given.positional[0] ?? null);
    const value = dict.get(key) ?? given.positional[1];
    if (value === undefined) throw new JinjaError(`pop: there is no key ${String(key)}`);
    dict.delete(key);
    return value;
  },
  update: (dict, given) => {
    const [more] = given.positional;
    for (const [key, value] of [...(more instanceof Map ? more : []), ...given.named]) dict.set(key, value);
    return null;
  },
};

const listMethods: Readonly<Record<string, Method<Value[]>>> = {
  index: (list, given) => {
    const at = list.findIndex((item) => isEqual(item, given.positional[0] ?? null));
    if (at < 0) throw new JinjaError("index: the value is not in the list");
    return at;
  },
  count: (list, given) => list.filter((item) => isEqual(item, given.positional[0] ?? null)).length,
  append: (list, given) => change(list, () => list.push(given.positional[0] ?? null)),
  extend: (list, given, runtime) => {
    return change(list, () => list.push(...itemsOf(given.positional[0] ?? null, runtime)));
  },
  insert: (list, given) => change(list, () => list.splice(given.integer(0, "index"), 0, given.positional[1] ?? null)),
  reverse: (list) => change(list, () => list.reverse()),
  pop: (list, given) => {
    const [item] = list.splice(given.integer(0, "index", -1), 1);
    if (item === undefined) throw new JinjaError("pop: the list has no such item");
    return item;
  },
};

function change(list: Value[], apply: () => unknown): null {
  if (list instanceof Tuple) throw new JinjaError("'tuple' object cannot be changed");
  apply();
  return null;
}

/** `value.name`, in Jinja's order: Python's attributes and methods first, then a key of that name. */
export function attributeOf(value: Value, name: string, runtime: Runtime): Value {
  if (value instanceof Undefined) throw new UndefinedError(value.hint);
  const found = builtIn(value, name, runtime);
  const entry = found === undefined ? entryOf(value, name) : found;
  return entry === undefined ? missing(value, name, runtime) : entry;
}

/** `value[key]`, in Jinja's order: an item first, then an attribute or method of that name. */
export function itemOf(value: Value, key: Value, runtime: Runtime): Value {
  if (value instanceof Undefined) throw new UndefinedError(value.hint);
  const entry = entryOf(value, key);
  const found = entry === undefined && typeof key === "string" ? builtIn(value, key, runtime) : entry;
  return found === undefined ? missing(value, key, runtime) : found;
}

function builtIn(value: Value, name: string, runtime: Runtime): Value | undefined {
  if (value instanceof Attributes) return name === "()" ? undefined : value.values.get(name);
  if (value instanceof Tuple && (name === "grouper" || name === "list")) return value[name === "list" ? 1 : 0];
  const bound = <Owner>(methods: Readonly<Record<string, Method<Owner>>>, owner: Owner): Callable | undefined => {
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
    return method && new Callable(name, (positional, named) => method(owner, new Given(positional, named), runtime));
  };
  if (typeof value === "string") {
    runtime.budget.step(value.length >> 5);
    return bound(stringMethods, value);
  }
  if (Array.isArray(value)) return bound(listMethods, value);
  return value instanceof Map ? bound(dictMethods, value) : undefined;
}

function entryOf(value: Value, key: Value): Value | undefined {
  if (value instanceof Map) return isKey(key) ? value.get(key) : undefined;
  if (typeof key !== "number") return undefined;
  if (typeof value === "string") {
    const characters = [...value];
    return characters[placeOf(key, characters.length)];
  }
  return Array.isArray(value) ? value[placeOf(key, value.length)] : undefined;
}

function missing(value: Value, key: Value, { isStrict }: Runtime): Undefined {
  const owner = value === null ? "None" : `${typeName(value)} object`;
  const what = typeof key === "number" ? `element ${key}` : `attribute '${String(key)}'`;
  return new Undefined(`'${owner}' has no ${what}`, isStrict);
}

function isKey(value: Value): value is string | number | boolean | null {
  return value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

/** @throws {JinjaError} for values that cannot be keys of a dict. */
export function keyOf(value: Value): string | number | boolean | null {
  if (isKey(value)) return value;
  throw new JinjaError(`a dict's key must be a text or a whole number, not ${typeName(value)}`);
}
