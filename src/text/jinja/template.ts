import { Evaluator, Scope } from "./evaluator.ts";
import { globals, loopAttributes } from "./globals.ts";
import { parseTemplate } from "./parser.ts";
import { pythonStr } from "./python-text.ts";
import type { Filter } from "./runtime.ts";
import { Budget, callableOf, Given, itemsOf } from "./runtime.ts";
import type { Block, MacroBody, Statement, Target } from "./syntax.ts";
import { blockText } from "./syntax.ts";
import type { WhiteSpace } from "./tokens.ts";
import type { Value } from "./values.ts";
import { Attributes, Callable, isEqual, isTruthy, JinjaError, toValue, tupleOf, Undefined } from "./values.ts";

/** A stretch of a rendered text, in UTF-16 units: `start` ≤ i < `end`. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** What a template gave. */
export interface Rendered {
  readonly text: string;
  /** What stood between `{% generation %}` and `{% endgeneration %}`, in order; not of text that was kept in a name first. */
  readonly generations: readonly Stretch[];
}

/** How a template is read and run. */
export interface TemplateOptions extends Partial<WhiteSpace> {
  /** Whether a name without a value is an error; it counts as empty otherwise. */
  readonly isStrict?: boolean;
  /** Filters beside Jinja's own, or instead of them. */
  readonly filters?: Readonly<Record<string, Filter>>;
}

/**
 * A template of Jinja, with the values and the text of Python: what Jinja2 makes of the same template and the same
 * variables. `{% generation %}` blocks, `{% break %}` and `{% continue %}` are there, as `transformers` has them. Not
 * there is what needs other files (`extends`, `include`, `import`, `block`).
 */
export class Template {
  readonly #program: Block;
  readonly #options: TemplateOptions;

  /** @throws {JinjaError} naming the line, when it is not valid. */
  constructor(source: string, options: TemplateOptions = {}) {
    const { trimBlocks = false, lstripBlocks = false, keepTrailingNewline = false } = options;
    this.#program = parseTemplate(source, { trimBlocks, lstripBlocks, keepTrailingNewline });
    this.#options = options;
  }

  /**
   * The text for these variables; functions among them are called with plain arguments.
   *
   * @throws {JinjaError} when it fails, or does more than any template needs.
   */
  render(variables: Readonly<Record<string, unknown>>): Rendered {
    const { isStrict = false, filters = {} } = this.#options;
    const budget = new Budget();
    const scope = new Scope(new Scope(null, globals(budget)));
    for (const [name, value] of Object.entries(variables)) scope.set(name, toValue(value));
    const output = new Output(budget);
    const exit = new Run(new Evaluator(isStrict, budget, filters)).block(this.#program, scope, output);
    if (exit) throw new JinjaError(`{% ${exit} %} stands outside a loop`);
    return { text: output.text(), generations: output.generations };
  }
}

/** Text as it is made. */
class Output {
  readonly generations: Stretch[] = [];
  readonly #parts: string[] = [];
  readonly #budget: Budget;
  length = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  write(text: string): void {
    this.#budget.write(text.length);
    this.#parts.push(text);
    this.length += text.length;
  }

  text(): string {
    return this.#parts.join("");
  }
}

/** Whether a loop goes on after a block. */
type Exit = "break" | "continue" | null;

class Run {
  readonly #evaluator: Evaluator;

  constructor(evaluator: Evaluator) {
    this.#evaluator = evaluator;
  }

  block(block: Block, scope: Scope, output: Output): Exit {
    for (const statement of block) {
      const exit = this.#statement(statement, scope, output);
      if (exit) return exit;
    }
    return null;
  }

  #statement(node: Statement, scope: Scope, output: Output): Exit {
    switch (node.kind) {
      case "text":
        output.write(node.text);
        return null;
      case "output":
        output.write(pythonStr(this.#evaluator.evaluate(node.value, scope)));
        return null;
      case "if":
        return this.#if(node, scope, output);
      case "for":
        this.#for(node, this.#evaluator.evaluate(node.over, scope), scope, output, 1);
        return null;
      case "set":
        this.#assign(node.target, this.#evaluator.evaluate(node.value, scope), scope);
        return null;
      case "capture":
      case "filter":
        this.#captured(node, scope, output);
        return null;
      case "macro":
        scope.set(node.macro.name, this.#macro(node.macro, scope));
        return null;
      case "call":
        this.#callBlock(node, scope, output);
        return null;
      case "with": {
        const inner = new Scope(scope);
        for (const [target, value] of node.values) this.#assign(target, this.#evaluator.evaluate(value, scope), inner);
        return this.block(node.body, inner, output);
      }
      case "generation": {
        const start = output.length;
        const exit = this.block(node.body, scope, output);
        output.generations.push({ start, end: output.length });
        return exit;
      }
      default:
        return node.kind;
    }
  }

  #if({ branches }: Extract<Statement, { kind: "if" }>, scope: Scope, output: Output): Exit {
    for (const [test, body] of branches) {
      if (test === null || isTruthy(this.#evaluator.evaluate(test, scope))) return this.block(body, scope, output);
    }
    return null;
  }

  #for(node: Extract<Statement, { kind: "for" }>, over: Value, scope: Scope, output: Output, depth: number): void {
    if (depth > 50) throw new JinjaError("more than 50 loops inside each other");
    const all = itemsOf(over, this.#evaluator);
    const { filter } = node;
    const items = filter
      ? all.filter((item) => isTruthy(this.#evaluator.evaluate(filter, this.#turn(node.target, item, scope))))
      : all;
    const previous = { values: null, isSame: isEqual };
    for (const [at, item] of items.entries()) {
      this.#evaluator.budget.step();
      const inner = this.#turn(node.target, item, scope);
      const loop = loopAttributes(items, at, depth, previous);
      if (node.isRecursive) loop.values.set("()", this.#recursion(node, scope, depth));
      inner.set("loop", loop);
      if (this.block(node.body, inner, output) === "break") break;
    }
    if (items.length === 0) this.block(node.otherwise, new Scope(scope), output);
  }

  #turn(target: Target, item: Value, scope: Scope): Scope {
    const inner = new Scope(scope);
    this.#assign(target, item, inner);
    return inner;
  }

  /** `loop(children)` inside a recursive loop. */
  #recursion(node: Extract<Statement, { kind: "for" }>, scope: Scope, depth: number): Callable {
    return new Callable("loop", ([over = null]) => {
      const inner = new Output(this.#evaluator.budget);
      this.#for(node, over, scope, inner, depth + 1);
      return inner.text();
    });
  }

  #assign(target: Target, value: Value, scope: Scope): void {
    if (target.kind === "name") scope.set(target.name, value);
    else if (target.kind === "attribute") {
      const owner = scope.get(target.of);
      if (owner instanceof Attributes) owner.values.set(target.name, value);
      else throw new JinjaError(`cannot assign to ${target.of}.${target.name}: ${target.of} is no namespace`);
    } else {
      const items = itemsOf(value, this.#evaluator);
      if (items.length !== target.items.length) {
        throw new JinjaError(`${items.length} values for ${target.items.length} names`);
      }
      for (const [i, inner] of target.items.entries()) this.#assign(inner, items[i] ?? null, scope);
    }
  }

  #captured(node: Extract<Statement, { kind: "capture" | "filter" }>, scope: Scope, output: Output): void {
    const inner = new Output(this.#evaluator.budget);
    this.block(node.body, new Scope(scope), inner);
    const named = new Scope(scope, [[blockText, inner.text()]]);
    const value = this.#evaluator.evaluate(node.kind === "capture" ? node.value : node.apply, named);
    if (node.kind === "capture") this.#assign(node.target, value, scope);
    else output.write(pythonStr(value));
  }

  #callBlock({ call, caller }: Extract<Statement, { kind: "call" }>, scope: Scope, output: Output): void {
    if (call.kind !== "call") throw new JinjaError("{% call %} needs a call of a macro");
    const target = callableOf(this.#evaluator.evaluate(call.callee, scope), "the macro of {% call %}");
    const { positional, named } = this.#evaluator.given(call.given, scope);
    output.write(pythonStr(target.call(positional, new Map([...named, ["caller", this.#macro(caller, scope)]]))));
  }

  #macro({ name, parameters, body }: MacroBody, scope: Scope): Callable {
    let depth = 0;
    return new Callable(name, (positional, named) => {
      depth += 1;
      if (depth > 50) throw new JinjaError(`macro ${name} calls itself more than 50 times`);
      const inner = new Scope(scope);
      const given = new Given(positional, named);
      for (const [i, parameter] of parameters.entries()) {
        const value = given.at(i, parameter.name);
        inner.set(parameter.name, value ?? new Undefined(`parameter '${parameter.name}' was not provided`, false));
        if (value === undefined && parameter.fallback) {
          inner.set(parameter.name, this.#evaluator.evaluate(parameter.fallback, inner));
        }
      }
      const known = new Set(parameters.map((parameter) => parameter.name));
      inner.set("varargs", tupleOf(positional.slice(parameters.length)));
      inner.set("kwargs", new Map([...named].filter(([key]) => !known.has(key) && key !== "caller")));
      if (named.has("caller")) inner.set("caller", named.get("caller") ?? null);
      const output = new Output(this.#evaluator.budget);
      this.block(body, inner, output);
      depth -= 1;
      return output.text();
    });
  }
}
