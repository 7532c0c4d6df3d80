import { z } from "zod";
import type { AnswerGrammar } from "../generate/grammar/answer-grammar.ts";
import { anyObject } from "../generate/grammar/answer-grammar.ts";
import { toolGrammar } from "../generate/tool-calls/tool-grammar.ts";
import type { Tool, ToolFields } from "../generate/tool-calls/tool-request.ts";
import { toolChoice, toolFields } from "../generate/tool-calls/tool-request.ts";
import type { ToolStyle } from "../generate/tool-calls/tool-style.ts";
import { unsupportedField } from "./api-error.ts";
import { fieldsFault } from "./chat-messages.ts";
import { optional } from "./fields.ts";
import type { PromptText } from "./prompt-text.ts";

const ResponseFormat = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("text") }),
    z.object({ type: z.literal("json_object") }),
    z.object({
      type: z.literal("json_schema"),
      json_schema: z.object({ name: optional(z.string()), schema: z.record(z.string(), z.unknown()) }),
    }),
  ],
  { error: "must be {type: text}, {type: json_object}, or {type: json_schema, json_schema: {schema}}" },
);

/** Fields of a chat that say what an answer has to look like. */
export const formFields = {
  ...toolFields,
  response_format: optional(ResponseFormat).describe("JSON that a schema allows, any JSON object, or text"),
} as const;

/** What {@link formFields} hold. */
export interface FormFields extends ToolFields {
  readonly response_format: z.output<typeof ResponseFormat> | null;
}

/** What an answer is held to, and how its calls are told from its text. */
export interface AnswerForm {
  readonly grammar: AnswerGrammar | null;
  readonly style: ToolStyle | null;
  /** What the template is told. */
  readonly tools: readonly Tool[] | null;
}

/**
 * The form that a request asks of answers.
 *
 * @throws {ApiError} 400 when its fields contradict each other, or the model's template knows no tools.
 */
export function answerForm(fields: FormFields, text: PromptText): AnswerForm {
  const choice = fieldsFault(() => toolChoice(fields));
  const { response_format: format } = fields;
  const isFree = format === null || format.type === "text";
  if (choice === null) return { grammar: isFree ? null : grammarOf(format), style: null, tools: null };
  if (!isFree) {
    throw unsupportedField(
      "response_format",
      "answers that may call tools have a form already; leave it out, or tools",
    );
  }
  const style = fieldsFault(() => text.toolStyle());
  return { grammar: toolGrammar(style, choice), style, tools: fields.tools ?? [] };
}

function grammarOf(format: Exclude<FormFields["response_format"], null | { type: "text" }>): AnswerGrammar {
  return format.type === "json_object" ? anyObject : { kind: "json", schema: format.json_schema.schema };
}
