import type { Arguments, Expression } from "./syntax.ts";
import type { Token } from "./tokens.ts";
import { literalText } from "./tokens.ts";
import { JinjaError } from "./values.ts";

const constants: Readonly<Record<string, null | boolean>> = {
  ...{ true: true, True: true, false: false, False: false, none: null, None: null },
};

/** Binary operators of arithmetic, those that bind weakest first. */
const arithmetic: readonly (readonly string[])[] = [["+", "-"], ["~"], ["*", "/", "//", "%"]];

/** Expressions inside each other, at most: far more than people write, far less than the stack holds. */
const deepest = 100;

/** Reads expressions from tokens, by recursive descent with Jinja's precedences. */
export class ExpressionParser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  peek(offset = 0): Token {
    return this.#tokens[Math.min(this.#next + offset, this.#tokens.length - 1)] as Token;
  }

  take(): Token {
    const token = this.peek();
    this.#next += 1;
    return token;
  }

  isAt(kind: Token["kind"], ...texts: readonly string[]): boolean {
    const token = this.peek();
    return token.kind === kind && (texts.length === 0 || texts.includes(token.text));
  }

  /** Goes behind a token if it is there. */
  accept(kind: Token["kind"], text: string): boolean {
    const isThere = this.isAt(kind, text);
    if (isThere) this.#next += 1;
    return isThere;
  }

  expect(kind: Token["kind"], text?: string): Token {
    if (this.isAt(kind, ...(text === undefined ? [] : [text]))) return this.take();
    throw this.unexpected(text ?? kind);
  }

  unexpected(wanted: string): JinjaError {
    const { kind, text, line } = this.peek();
    return new JinjaError(
      `line ${line}: found ${kind === "end" ? "the end" : JSON.stringify(text)} where ${wanted} was expected`,
    );
  }

  /** One expression, or several with commas between them, which are a tuple. */
  tuple(parse: () => Expression = () => this.expression()): Expression {
    const items = [parse()];
    if (!this.isAt("operator", ",")) return items[0] as Expression;
    while (this.accept("operator", ",") && !this.#isAtEnd()) items.push(parse());
    return { kind: "tuple", items };
  }

  expression(): Expression {
    const then = this.unconditional();
    if (!this.accept("name", "if")) return then;
    const test = this.unconditional();
    return { kind: "either", test, then, otherwise: this.accept("name", "else") ? this.expression() : null };
  }

  /** An expression without `x if y else z`, as in `{% for a in b if c %}`. */
  unconditional(): Expression {
    return this.#binary("name", "or", () => this.#binary("name", "and", () => this.#not()));
  }

  /** The filters that follow a value: `| upper | join(", ")`. */
  filters(of: Expression): Expression {
    let value = of;
    while (this.accept("operator", "|")) {
      const name = this.#dottedName();
      value = { kind: "filter", of: value, name, given: this.#optionalArguments() };
    }
    return value;
  }

  /** One filter without a `|` before it, as `{% filter upper %}` has it. */
  firstFilter(of: Expression): Expression {
    const name = this.#dottedName();
    return this.filters({ kind: "filter", of, name, given: this.#optionalArguments() });
  }

  #isAtEnd(): boolean {
    return this.isAt("close") || this.isAt("operator", ")", "]", "}", "=") || this.isAt("name", "in");
  }

  #binary(kind: Token["kind"], operator: string, operand: () => Expression): Expression {
    let left = operand();
    while (this.accept(kind, operator)) left = { kind: "binary", operator, left, right: operand() };
    return left;
  }

  #not(): Expression {
    if (this.isAt("name", "not") && !(this.peek(1).kind === "name" && this.peek(1).text === "in")) {
      this.take();
      return { kind: "unary", operator: "not", of: this.#deeper(() => this.#not()) };
    }
    return this.#comparison();
  }

  #comparison(): Expression {
    const first = this.#arithmetic(0);
    const rest: (readonly [string, Expression])[] = [];
    for (;;) {
      if (this.isAt("operator", "==", "!=", "<", ">", "<=", ">=") || this.isAt("name", "in")) {
        rest.push([this.take().text, this.#arithmetic(0)]);
      } else if (this.isAt("name", "not") && this.peek(1).text === "in") {
        this.#next += 2;
        rest.push(["not in", this.#arithmetic(0)]);
      } else return rest.length === 0 ? first : { kind: "comparison", first, rest };
    }
  }

  #arithmetic(level: number): Expression {
    const operators = arithmetic[level];
    if (!operators) return this.#power();
    let left = this.#arithmetic(level + 1);
    while (this.isAt("operator", ...operators)) {
      left = { kind: "binary", operator: this.take().text, left, right: this.#arithmetic(level + 1) };
    }
    return left;
  }

  /** Jinja's signs bind stronger than its powers: `-2 ** 2` is 4. */
  #power(): Expression {
    let left = this.#unary();
    while (this.accept("operator", "**")) left = { kind: "binary", operator: "**", left, right: this.#unary() };
    return left;
  }

  /** A sign, and the filters and tests that apply to the whole. */
  #unary(withFilters = true): Expression {
    let value: Expression;
    if (this.isAt("operator", "-", "+")) {
      const operator = this.take().text as "-" | "+";
      value = { kind: "unary", operator, of: this.#deeper(() => this.#unary(false)) };
    } else value = this.#postfix(this.#primary());
    return withFilters ? this.#filtersAndTests(value) : value;
  }

  #filtersAndTests(of: Expression): Expression {
    let value = of;
    for (;;) {
      if (this.isAt("operator", "|")) value = this.filters(value);
      else if (this.isAt("name", "is")) value = this.#test(value);
      else if (this.isAt("operator", "(")) value = { kind: "call", callee: value, given: this.arguments() };
      else return value;
    }
  }

  #test(of: Expression): Expression {
    this.take();
    const isNegated = this.accept("name", "not");
    const name = this.isAt("operator", "==", "!=", "<", ">", "<=", ">=") ? this.take().text : this.#dottedName();
    if (this.isAt("operator", "(")) return { kind: "test", of, name, isNegated, given: this.arguments() };
    const isWord = this.isAt("name") && !this.isAt("name", "else", "or", "and", "is", "if", "not", "in");
    const hasOne =
      isWord || this.isAt("string") || this.isAt("integer") || this.isAt("float") || this.isAt("operator", "[", "{");
    const positional = hasOne ? [{ value: this.#postfix(this.#primary()), isSpread: false }] : [];
    return { kind: "test", of, name, isNegated, given: { positional, named: [] } };
  }

  #dottedName(): string {
    let name = this.expect("name").text;
    while (this.accept("operator", ".")) name += `.${this.expect("name").text}`;
    return name;
  }

  #optionalArguments(): Arguments {
    return this.isAt("operator", "(") ? this.arguments() : { positional: [], named: [] };
  }

  /** `(1, *rest, key=2, **more)`. */
  arguments(): Arguments {
    const positional: Arguments["positional"][number][] = [];
    const named: Arguments["named"][number][] = [];
    this.expect("operator", "(");
    while (!this.accept("operator", ")")) {
      if (this.accept("operator", "**")) named.push({ name: null, value: this.expression() });
      else if (this.accept("operator", "*")) positional.push({ value: this.expression(), isSpread: true });
      else if (this.isAt("name") && this.peek(1).kind === "operator" && this.peek(1).text === "=") {
        const name = this.take().text;
        this.take();
        named.push({ name, value: this.expression() });
      } else positional.push({ value: this.expression(), isSpread: false });
      if (!this.isAt("operator", ")")) this.expect("operator", ",");
    }
    return { positional, named };
  }

  #postfix(of: Expression): Expression {
    let value = of;
    for (;;) {
      if (this.accept("operator", ".")) {
        if (this.isAt("integer")) value = { kind: "item", of: value, key: this.#primary() };
        else value = { kind: "attribute", of: value, name: this.expect("name").text };
      } else if (this.isAt("operator", "[")) value = this.#subscript(value);
      else if (this.isAt("operator", "(")) value = { kind: "call", callee: value, given: this.arguments() };
      else return value;
    }
  }

  #subscript(of: Expression): Expression {
    this.take();
    const bounds: (Expression | null)[] = [];
    let part: Expression | null = null;
    for (;;) {
      if (this.accept("operator", "]")) break;
      if (this.accept("operator", ":")) {
        bounds.push(part);
        part = null;
      } else if (part === null) part = this.tuple();
      else throw this.unexpected("]");
    }
    if (bounds.length > 0) return { kind: "slice", of, bounds: [...bounds, part] };
    if (part === null) throw this.unexpected("an index");
    return { kind: "item", of, key: part };
  }

  #primary(): Expression {
    const { kind, text } = this.peek();
    if (kind === "name") {
      this.take();
      return Object.hasOwn(constants, text)
        ? { kind: "literal", value: constants[text] ?? null }
        : { kind: "name", name: text };
    }
    if (kind === "string") return { kind: "literal", value: this.#strings() };
    if (kind === "integer" || kind === "float") {
      this.take();
      return { kind: "literal", value: Number(text.replaceAll("_", "")), isFloat: kind === "float" };
    }
    if (kind === "operator" && "([{".includes(text)) return this.#deeper(() => this.#enclosed());
    throw this.unexpected("a value");
  }

  /** String literals side by side are one. */
  #strings(): string {
    let text = "";
    while (this.isAt("string")) text += literalText(this.take().text);
    return text;
  }

  #enclosed(): Expression {
    const { text } = this.take();
    if (text === "{") return this.#dict();
    const close = text === "(" ? ")" : "]";
    if (text === "(") {
      if (this.accept("operator", close)) return { kind: "tuple", items: [] };
      const inner = this.tuple();
      this.expect("operator", close);
      return inner;
    }
    const items: Expression[] = [];
    while (!this.accept("operator", close)) {
      items.push(this.expression());
      if (!this.isAt("operator", close)) this.expect("operator", ",");
    }
    return { kind: "list", items };
  }

  #dict(): Expression {
    const entries: (readonly [Expression, Expression])[] = [];
    while (!this.accept("operator", "}")) {
      const key = this.expression();
      this.expect("operator", ":");
      entries.push([key, this.expression()]);
      if (!this.isAt("operator", "}")) this.expect("operator", ",");
    }
    return { kind: "dict", entries };
  }

  #deeper(parse: () => Expression): Expression {
    this.#depth += 1;
    if (this.#depth > deepest)
      throw new JinjaError(`line ${this.peek().line}: more than ${deepest} expressions inside each other`);
    const value = parse();
    this.#depth -= 1;
    return value;
  }
}
