import { printf } from "./printf.ts";
import { pythonStr } from "./python-text.ts";
import type { Runtime } from "./runtime.ts";
import { repeat } from "./runtime.ts";
import type { Value } from "./values.ts";
import {
  compare,
  Float,
  isEqual,
  JinjaError,
  numberOf,
  refuseStrict,
  Tuple,
  tupleOf,
  typeName,
  Undefined,
  UndefinedError,
} from "./values.ts";

/**
 * What Python's operator makes of two values.
 *
 * @throws {JinjaError} when it has no meaning for them, as Python does.
 */
export function operate(operator: string, left: Value, right: Value, { budget }: Pick<Runtime, "budget">): Value {
  if (operator === "~") return pythonStr(left) + pythonStr(right);
  for (const side of [left, right]) if (side instanceof Undefined) throw new UndefinedError(side.hint);
  if (operator === "%" && typeof left === "string") return printf.percent(left, right);
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== null && b !== null) return calculate(operator, a, b, left instanceof Float || right instanceof Float);
  const made = operator === "+" ? sumOf(left, right, budget) : operator === "*" ? productOf(left, right, budget) : null;
  if (made !== null) return made;
  throw new JinjaError(`unsupported operand type(s) for ${operator}: '${typeName(left)}' and '${typeName(right)}'`);
}

/** Texts, lists or tuples one behind the other; null for other values. */
function sumOf(left: Value, right: Value, budget: Runtime["budget"]): Value {
  if (typeof left === "string" && typeof right === "string") return left + right;
  if (!(Array.isArray(left) && Array.isArray(right)) || left instanceof Tuple !== right instanceof Tuple) return null;
  budget.step(left.length + right.length);
  return left instanceof Tuple ? tupleOf([...left, ...right]) : [...left, ...right];
}

/** A text or a list several times; null for other values. */
function productOf(left: Value, right: Value, budget: Runtime["budget"]): Value {
  const [value, count] = typeof right === "number" ? [left, right] : [right, left];
  if (typeof count !== "number") return null;
  if (typeof value === "string") return repeat(value, count);
  if (!Array.isArray(value)) return null;
  budget.step(value.length * Math.max(0, count));
  return Array.from({ length: Math.max(0, count) }, () => value).flat();
}

function calculate(operator: string, a: number, b: number, isFloat: boolean): Value {
  const whole = (value: number): Value => (isFloat ? new Float(value) : value);
  if (b === 0 && ["/", "//", "%"].includes(operator)) throw new JinjaError("division by zero");
  switch (operator) {
    case "+":
      return whole(a + b);
    case "-":
      return whole(a - b);
    case "*":
      return whole(a * b);
    case "/":
      return new Float(a / b);
    case "//":
      return whole(Math.floor(a / b));
    case "%":
      return whole(a - b * Math.floor(a / b));
    case "**":
      return b < 0 ? new Float(a ** b) : whole(a ** b);
    default:
      throw new JinjaError(`${operator} is no operator of numbers`);
  }
}

/** `left < right` and the like, and `left in right`. */
export function holds(operator: string, left: Value, right: Value): boolean {
  switch (operator) {
    case "==":
      return isEqual(left, right);
    case "!=":
      return !isEqual(left, right);
    case "in":
      return contains(right, left);
    case "not in":
      return !contains(right, left);
    case "<":
      return compare(left, right) < 0;
    case "<=":
      return compare(left, right) <= 0;
    case ">":
      return compare(left, right) > 0;
    default:
      return compare(left, right) >= 0;
  }
}

function contains(all: Value, one: Value): boolean {
  if (all instanceof Undefined) return refuseStrict(all) !== null;
  if (typeof all === "string") {
    if (typeof one === "string") return all.includes(one);
    throw new JinjaError(`'in <string>' requires string as left operand, not ${typeName(one)}`);
  }
  if (Array.isArray(all)) return all.some((item) => isEqual(item, one));
  if (all instanceof Map) return typeof one !== "object" || one === null ? all.has(one as string) : false;
  throw new JinjaError(`argument of type '${typeName(all)}' is not iterable`);
}
