import { z } from "zod";
import { SettingsError } from "../core/errors.ts";
import type { AnswerGrammar } from "../generate/grammar/answer-grammar.ts";
import { anyObject } from "../generate/grammar/answer-grammar.ts";
import { checkGrammar } from "../generate/grammar/grammar-network.ts";
import { toolGrammar } from "../generate/tool-calls/tool-grammar.ts";
import type { Tool, ToolFields } from "../generate/tool-calls/tool-request.ts";
import { toolChoice, toolFields } from "../generate/tool-calls/tool-request.ts";
import type { ToolStyle } from "../generate/tool-calls/tool-style.ts";
import { unsupportedField, wrongField } from "./api-error.ts";
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
  readonly ignore_eos: boolean;
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
 * @throws {ApiError} 400 when its fields contradict each other, a schema is wrong or has what is not supported, or the
 * model's template knows no tools.
 */
export function answerForm(fields: FormFields, text: PromptText): AnswerForm {
  const choice = fieldsFault(() => toolChoice(fields));
  const { response_format: format } = fields;
  const isFree = format === null || format.type === "text";
  if (choice === null) {
    const grammar = isFree ? null : checked(grammarOf(format), "response_format", fields);
    return { grammar, style: null, tools: null };
  }
  if (!isFree) {
    throw unsupportedField(
      "response_format",
      "answers that may call tools have a form already; leave it out, or tools",
    );
  }
  const style = fieldsFault(() => text.toolStyle());
  const grammar = toolGrammar(style, choice);
  return { grammar: grammar && checked(grammar, "tools", fields), style, tools: fields.tools ?? [] };
}

/** A grammar that an engine can hold answers to. */
function checked(grammar: AnswerGrammar, field: string, { ignore_eos: ignoresEnds }: FormFields): AnswerGrammar {
  if (ignoresEnds) throw wrongField("ignore_eos", `ignore_eos: an answer held to ${field} has to end; leave it out`);
  try {
    checkGrammar(grammar);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const isUnsupported = error.message.includes("not supported");
    throw wrongField(field, `${field}: ${error.message}`, isUnsupported ? "unsupported_parameter" : null);
  }
  return grammar;
}

function grammarOf(format: Exclude<FormFields["response_format"], null | { type: "text" }>): AnswerGrammar {
  return format.type === "json_object" ? anyObject : { kind: "json", schema: format.json_schema.schema };
}
