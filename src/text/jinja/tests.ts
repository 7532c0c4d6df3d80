import { holds } from "./operators.ts";
import { pythonStr } from "./python-text.ts";
import type { Test } from "./runtime.ts";
import type { Value } from "./values.ts";
import { Callable, Float, numberOf, Undefined } from "./values.ts";

const comparison = (operator: string): Test => {
  return (value, given) => holds(operator, value, given.positional[0] ?? null);
};

const isInteger = (value: Value): boolean => typeof value === "number" || typeof value === "bigint";
const remainder = (value: Value, by: number): number => (((numberOf(value) ?? Number.NaN) % by) + by) % by;

/** Tests that templates may use, `value is name`, by Jinja's names. */
export const tests: Readonly<Record<string, Test>> = {
  defined: (value) => !(value instanceof Undefined),
  undefined: (value) => value instanceof Undefined,
  none: (value) => value === null,
  boolean: (value) => typeof value === "boolean",
  true: (value) => value === true,
  false: (value) => value === false,
  integer: isInteger,
  float: (value) => value instanceof Float,
  number: (value) => numberOf(value) !== null,
  string: (value) => typeof value === "string",
  mapping: (value) => value instanceof Map,
  sequence: (value) => typeof value === "string" || Array.isArray(value) || value instanceof Map,
  iterable: (value) => typeof value === "string" || Array.isArray(value) || value instanceof Map,
  callable: (value) => value instanceof Callable,
  lower: (value) => pythonStr(value) === pythonStr(value).toLowerCase(),
  upper: (value) => pythonStr(value) === pythonStr(value).toUpperCase(),
  odd: (value) => remainder(value, 2) === 1,
  even: (value) => remainder(value, 2) === 0,
  divisibleby: (value, given) => remainder(value, given.integer(0, "num")) === 0,
  sameas: (value, given) => value === given.positional[0],
  in: (value, given) => holds("in", value, given.positional[0] ?? null),
  ...{ "==": comparison("=="), eq: comparison("=="), equalto: comparison("==") },
  ...{ "!=": comparison("!="), ne: comparison("!=") },
  ...{ "<": comparison("<"), lt: comparison("<"), lessthan: comparison("<") },
  ...{ "<=": comparison("<="), le: comparison("<=") },
  ...{ ">": comparison(">"), gt: comparison(">"), greaterthan: comparison(">") },
  ...{ ">=": comparison(">="), ge: comparison(">=") },
};
