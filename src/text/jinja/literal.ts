import { ExpressionParser } from "./expression-parser.ts";
import type { Expression } from "./syntax.ts";
import { tokenize } from "./tokens.ts";
import type { Value } from "./values.ts";
import { Float, JinjaError, tupleOf } from "./values.ts";

const white = { trimBlocks: false, lstripBlocks: false, keepTrailingNewline: true };

/**
 * What a text says that is written as a value of Python, as `ast.literal_eval` reads it: numbers, texts, lists, tuples,
 * dicts, True, False and None. Undefined where it is none.
 */
export function pythonLiteral(text: string): Value | undefined {
  try {
    const parser = new ExpressionParser(tokenize(`{{ ${text} }}`, white));
    parser.expect("open");
    const node = parser.tuple();
    parser.expect("close");
    return parser.isAt("end") ? literalOf(node) : undefined;
  } catch (error) {
    if (error instanceof JinjaError) return undefined;
    throw error;
  }
}

function literalOf(node: Expression): Value {
  switch (node.kind) {
    case "literal":
      return typeof node.value === "number" && node.isFloat ? new Float(node.value) : node.value;
    case "list":
      return node.items.map(literalOf);
    case "tuple":
      return tupleOf(node.items.map(literalOf));
    case "dict":
      return new Map(node.entries.map(([key, value]) => [literalOf(key) as string | number, literalOf(value)]));
    case "unary": {
      const value = literalOf(node.of);
      if (node.operator === "-" && typeof value === "number") return -value;
      if (node.operator === "-" && value instanceof Float) return new Float(-value.value);
      break;
    }
    default:
  }
  throw new JinjaError("is no literal");
}
