import type { AnswerGrammar } from "../grammar/answer-grammar.ts";
import type { Tool, ToolChoice } from "./tool-request.ts";
import type { ToolStyle } from "./tool-style.ts";

/**
 * What answers that may call tools look like: the arguments of each call fit its schema. Where a model may also say
 * something else and nothing marks a call, there is nothing to hold it to: null.
 */
export function toolGrammar(style: ToolStyle, { tools, isRequired, isParallel }: ToolChoice): AnswerGrammar | null {
  const { head, tail, between, mark } = style;
  const one: AnswerGrammar = { kind: "choice", options: tools.map((tool) => callGrammar(style, tool)) };
  const some: AnswerGrammar = isParallel && between !== null ? { kind: "list", of: one, separator: between } : one;
  const parts = [...marked(head, mark), some, ...texts(tail)];
  if (isRequired) return { kind: "sequence", parts };
  if (mark === null) return null;
  const nothing: AnswerGrammar = { kind: "sequence", parts: [] };
  const calls: AnswerGrammar = { kind: "sequence", parts };
  const text: AnswerGrammar = { kind: "text", without: [mark] };
  return { kind: "sequence", parts: [text, { kind: "choice", options: [nothing, calls] }] };
}

function callGrammar({ middle }: ToolStyle, { function: { name, parameters } }: Tool): AnswerGrammar {
  const schema = { type: "object", ...(parameters ?? { additionalProperties: false }) };
  return { kind: "sequence", parts: [...texts(`${name}${middle}`), { kind: "json", schema }] };
}

/** The mark by itself, so that a special token may stand for it. */
function marked(head: string, mark: string | null): AnswerGrammar[] {
  return mark === null ? texts(head) : [...texts(mark), ...texts(head.slice(head.indexOf(mark) + mark.length))];
}

function texts(text: string): AnswerGrammar[] {
  return text === "" ? [] : [{ kind: "literal", text }];
}
