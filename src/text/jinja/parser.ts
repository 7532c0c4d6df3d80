import { ExpressionParser } from "./expression-parser.ts";
import type { Block, Expression, MacroBody, Parameter, Statement, Target } from "./syntax.ts";
import { blockText } from "./syntax.ts";
import type { WhiteSpace } from "./tokens.ts";
import { tokenize } from "./tokens.ts";
import { JinjaError } from "./values.ts";

/** Blocks inside each other, at most. */
const deepest = 100;

/**
 * A template as statements.
 *
 * @throws {JinjaError} naming the line, when it is not valid, or asks for what needs other files.
 */
export function parseTemplate(source: string, white: WhiteSpace): Block {
  return new StatementParser(new ExpressionParser(tokenize(source, white))).template();
}

class StatementParser {
  readonly #in: ExpressionParser;
  #depth = 0;

  constructor(expressions: ExpressionParser) {
    this.#in = expressions;
  }

  template(): Block {
    const block = this.#block();
    if (this.#in.isAt("end")) return block;
    this.#in.take();
    throw this.#in.unexpected("the beginning of its block");
  }

  /** Statements up to one of the closing words, whose `{%` is still to be read, or the end. */
  #block(...closing: readonly string[]): Block {
    this.#depth += 1;
    if (this.#depth > deepest) {
      throw new JinjaError(`line ${this.#in.peek().line}: more than ${deepest} blocks inside each other`);
    }
    const out: Statement[] = [];
    while (!this.#in.isAt("end")) {
      if (this.#in.isAt("text")) out.push({ kind: "text", text: this.#in.take().text });
      else if (this.#in.accept("open", "{{")) {
        out.push({ kind: "output", value: this.#in.tuple() });
        this.#in.expect("close");
      } else {
        const word = this.#in.peek(1).text;
        if (closing.includes(word) || word.startsWith("end") || word === "else" || word === "elif") break;
        this.#in.take();
        out.push(this.#statement(this.#in.expect("name").text));
      }
    }
    this.#depth -= 1;
    return out;
  }

  /** A block and the word that closes it; `{%` and the word are read, what follows is not. */
  #blockUntil(...closing: readonly string[]): { readonly body: Block; readonly word: string } {
    const body = this.#block(...closing);
    if (!(this.#in.isAt("open", "{%") && closing.includes(this.#in.peek(1).text))) {
      throw this.#in.unexpected(`{% ${closing.at(-1)} %}`);
    }
    this.#in.take();
    return { body, word: this.#in.take().text };
  }

  /** A block that ends with this word, and its tag. */
  #bodyOf(closing: string): Block {
    this.#in.expect("close");
    const { body } = this.#blockUntil(closing);
    if (this.#in.isAt("name")) this.#in.take(); // {% endmacro name %}
    this.#in.expect("close");
    return body;
  }

  #statement(word: string): Statement {
    switch (word) {
      case "if":
        return this.#if();
      case "for":
        return this.#for();
      case "set":
        return this.#set();
      case "macro":
        return { kind: "macro", macro: this.#macro(this.#in.expect("name").text, "endmacro") };
      case "call":
        return this.#call();
      case "filter": {
        const apply = this.#in.firstFilter({ kind: "name", name: blockText });
        return { kind: "filter", apply, body: this.#bodyOf("endfilter") };
      }
      case "with":
        return this.#with();
      case "generation":
        return { kind: "generation", body: this.#bodyOf("endgeneration") };
      case "break":
      case "continue":
        this.#in.expect("close");
        return { kind: word };
      default:
        throw new JinjaError(`line ${this.#in.peek().line}: the statement {% ${word} %} is not supported`);
    }
  }

  #if(): Statement {
    const branches: (readonly [Expression | null, Block])[] = [];
    let test: Expression | null = this.#in.tuple();
    for (;;) {
      this.#in.expect("close");
      const { body, word }: { body: Block; word: string } = this.#blockUntil("elif", "else", "endif");
      branches.push([test, body]);
      if (word === "endif") break;
      test = word === "elif" ? this.#in.tuple() : null;
    }
    this.#in.expect("close");
    return { kind: "if", branches };
  }

  #for(): Statement {
    const target = this.#target();
    this.#in.expect("name", "in");
    const over = this.#in.tuple(() => this.#in.unconditional());
    const filter = this.#in.accept("name", "if") ? this.#in.expression() : null;
    const isRecursive = this.#in.accept("name", "recursive");
    this.#in.expect("close");
    const { body, word } = this.#blockUntil("else", "endfor");
    const otherwise = word === "else" ? this.#bodyOf("endfor") : [];
    if (word === "endfor") this.#in.expect("close");
    return { kind: "for", target, over, filter, body, otherwise, isRecursive };
  }

  #set(): Statement {
    const target = this.#target();
    if (this.#in.accept("operator", "=")) {
      const value = this.#in.tuple();
      this.#in.expect("close");
      return { kind: "set", target, value };
    }
    const value = this.#in.filters({ kind: "name", name: blockText });
    return { kind: "capture", target, value, body: this.#bodyOf("endset") };
  }

  #call(): Statement {
    const parameters = this.#in.isAt("operator", "(") ? this.#parameters() : [];
    const call = this.#in.expression();
    return { kind: "call", call, caller: { name: "caller", parameters, body: this.#bodyOf("endcall") } };
  }

  #with(): Statement {
    const values: (readonly [Target, Expression])[] = [];
    while (!this.#in.isAt("close")) {
      const target = this.#target();
      this.#in.expect("operator", "=");
      values.push([target, this.#in.expression()]);
      if (!this.#in.isAt("close")) this.#in.expect("operator", ",");
    }
    return { kind: "with", values, body: this.#bodyOf("endwith") };
  }

  #macro(name: string, closing: string): MacroBody {
    return { name, parameters: this.#parameters(), body: this.#bodyOf(closing) };
  }

  #parameters(): Parameter[] {
    const parameters: Parameter[] = [];
    this.#in.expect("operator", "(");
    while (!this.#in.accept("operator", ")")) {
      const name = this.#in.expect("name").text;
      parameters.push({ name, fallback: this.#in.accept("operator", "=") ? this.#in.expression() : null });
      if (!this.#in.isAt("operator", ")")) this.#in.expect("operator", ",");
    }
    return parameters;
  }

  /** `a`, `a, b`, `(a, b)` or `namespace.a`. */
  #target(): Target {
    const items = [this.#oneTarget()];
    while (this.#in.accept("operator", ",")) items.push(this.#oneTarget());
    return items.length === 1 ? (items[0] as Target) : { kind: "names", items };
  }

  #oneTarget(): Target {
    if (this.#in.accept("operator", "(")) {
      const inner = this.#target();
      this.#in.expect("operator", ")");
      return inner;
    }
    const name = this.#in.expect("name").text;
    if (!this.#in.accept("operator", ".")) return { kind: "name", name };
    return { kind: "attribute", of: name, name: this.#in.expect("name").text };
  }
}
