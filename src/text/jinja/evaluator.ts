import { attributeOf, itemOf, keyOf } from "./attributes.ts";
import { filters } from "./filters.ts";
import { holds, operate } from "./operators.ts";
import type { Budget, Filter, Runtime } from "./runtime.ts";
import { callableOf, Given, itemsOf, slicePlaces } from "./runtime.ts";
import type { Arguments, Expression } from "./syntax.ts";
import { tests } from "./tests.ts";
import type { Value } from "./values.ts";
import {
  Float,
  isTruthy,
  JinjaError,
  numberOf,
  Tuple,
  tupleOf,
  typeName,
  Undefined,
  UndefinedError,
} from "./values.ts";

/** Names that have a value at one place of a template. */
export class Scope {
  readonly #values = new Map<string, Value>();
  readonly #outer: Scope | null;

  constructor(outer: Scope | null, values: Iterable<readonly [string, Value]> = []) {
    this.#outer = outer;
    for (const [name, value] of values) this.#values.set(name, value);
  }

  get(name: string): Value | undefined {
    return this.#values.get(name) ?? (this.#values.has(name) ? null : this.#outer?.get(name));
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }
}

/** Values of expressions. */
export class Evaluator implements Runtime {
  readonly isStrict: boolean;
  readonly budget: Budget;
  readonly #filters: Readonly<Record<string, Filter>>;

  constructor(isStrict: boolean, budget: Budget, own: Readonly<Record<string, Filter>>) {
    this.isStrict = isStrict;
    this.budget = budget;
    this.#filters = { ...filters, ...own };
  }

  filter(name: string, value: Value, given: Given): Value {
    const filter = Object.hasOwn(this.#filters, name) ? this.#filters[name] : undefined;
    if (!filter) throw new JinjaError(`there is no filter ${name}`);
    return this.#counted(filter(value, given, this));
  }

  test(name: string, value: Value, given: Given): boolean {
    if (name === "filter" || name === "test") {
      return typeof value === "string" && Object.hasOwn(name === "test" ? tests : this.#filters, value);
    }
    const test = Object.hasOwn(tests, name) ? tests[name] : undefined;
    if (!test) throw new JinjaError(`there is no test ${name}`);
    return test(value, given, this);
  }

  evaluate(node: Expression, scope: Scope): Value {
    this.budget.step();
    switch (node.kind) {
      case "literal":
        return typeof node.value === "number" && node.isFloat ? new Float(node.value) : node.value;
      case "name":
        return scope.get(node.name) ?? this.#unknown(node.name, scope);
      case "list":
        return node.items.map((item) => this.evaluate(item, scope));
      case "tuple":
        return tupleOf(node.items.map((item) => this.evaluate(item, scope)));
      case "dict":
        return new Map(
          node.entries.map(([key, value]) => [keyOf(this.evaluate(key, scope)), this.evaluate(value, scope)]),
        );
      case "attribute":
        return attributeOf(this.evaluate(node.of, scope), node.name, this);
      case "item":
        return itemOf(this.evaluate(node.of, scope), this.evaluate(node.key, scope), this);
      case "slice":
        return this.#slice(this.evaluate(node.of, scope), node.bounds, scope);
      case "call":
        return this.#call(node.callee, node.given, scope);
      case "filter":
        return this.filter(node.name, this.evaluate(node.of, scope), this.given(node.given, scope));
      case "test":
        return this.test(node.name, this.evaluate(node.of, scope), this.given(node.given, scope)) !== node.isNegated;
      case "unary":
        return this.#unary(node.operator, this.evaluate(node.of, scope));
      case "binary":
        return this.#binary(node, scope);
      case "comparison":
        return this.#comparison(node, scope);
      case "either":
        return this.#either(node, scope);
    }
  }

  /** What a call is given, evaluated. */
  given({ positional, named }: Arguments, scope: Scope): Given {
    const places = positional.flatMap(({ value, isSpread }) => {
      const one = this.evaluate(value, scope);
      return isSpread ? itemsOf(one, this) : [one];
    });
    const names = named.flatMap(({ name, value }): (readonly [string, Value])[] => {
      const one = this.evaluate(value, scope);
      if (name !== null) return [[name, one]];
      return one instanceof Map ? [...one].map(([key, item]) => [String(key), item] as const) : [];
    });
    return new Given(places, new Map(names));
  }

  #unknown(name: string, scope: Scope): Value {
    return scope.get(name) === null ? null : new Undefined(`'${name}' is undefined`, this.isStrict);
  }

  #call(callee: Expression, given: Arguments, scope: Scope): Value {
    const target = this.evaluate(callee, scope);
    if (target instanceof Undefined) throw new UndefinedError(target.hint);
    const { positional, named } = this.given(given, scope);
    const what = callee.kind === "name" || callee.kind === "attribute" ? callee.name : "what is called";
    return this.#counted(callableOf(target, what).call(positional, named));
  }

  #counted(value: Value): Value {
    if (typeof value === "string") this.budget.write(value.length);
    return value;
  }

  #unary(operator: "not" | "-" | "+", value: Value): Value {
    if (operator === "not") return !isTruthy(value);
    if (value instanceof Undefined) throw new UndefinedError(value.hint);
    const number = numberOf(value);
    if (number === null) throw new JinjaError(`bad operand type for unary ${operator}: '${typeName(value)}'`);
    const signed = operator === "-" ? -number : number;
    return value instanceof Float ? new Float(signed) : signed + 0;
  }

  #binary({ operator, left, right }: Extract<Expression, { kind: "binary" }>, scope: Scope): Value {
    const value = this.evaluate(left, scope);
    if (operator === "and") return isTruthy(value) ? this.evaluate(right, scope) : value;
    if (operator === "or") return isTruthy(value) ? value : this.evaluate(right, scope);
    return this.#counted(operate(operator, value, this.evaluate(right, scope), this));
  }

  #comparison({ first, rest }: Extract<Expression, { kind: "comparison" }>, scope: Scope): boolean {
    let left = this.evaluate(first, scope);
    for (const [operator, node] of rest) {
      const right = this.evaluate(node, scope);
      if (!holds(operator, left, right)) return false;
      left = right;
    }
    return true;
  }

  #either({ test, then, otherwise }: Extract<Expression, { kind: "either" }>, scope: Scope): Value {
    if (isTruthy(this.evaluate(test, scope))) return this.evaluate(then, scope);
    if (otherwise) return this.evaluate(otherwise, scope);
    return new Undefined("the inline if-expression evaluated to false and no else section was defined.", false);
  }

  #slice(value: Value, bounds: readonly (Expression | null)[], scope: Scope): Value {
    const numbers = bounds.map((bound) => {
      const given = bound === null ? null : this.evaluate(bound, scope);
      if (given === null || typeof given === "number") return given;
      throw new JinjaError(`slice indices must be integers or None, not ${typeName(given)}`);
    });
    if (value instanceof Undefined) throw new UndefinedError(value.hint);
    if (typeof value !== "string" && !Array.isArray(value))
      throw new JinjaError(`'${typeName(value)}' object cannot be sliced`);
    const items = itemsOf(value, this);
    const taken = slicePlaces(items.length, numbers).map((place) => items[place] ?? null);
    if (typeof value === "string") return taken.join("");
    return value instanceof Tuple ? tupleOf(taken) : taken;
  }
}
