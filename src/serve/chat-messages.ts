import { z } from "zod";
import { DataError, SettingsError, UnsupportedError } from "../core/errors.ts";
import type { Json } from "../files/json.ts";
import { templateTurns } from "../generate/tool-calls/tool-request.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import { ApiError, unsupportedField, wrongField } from "./api-error.ts";
import { optional } from "./fields.ts";
import { requestLimits } from "./limits.ts";

const Part = z.looseObject({ type: z.string(), text: optional(z.string()) });

const contentDemand = "must be a text, a list of parts {type, text}, or null";

const Message = z.object(
  {
    role: z.enum(["system", "developer", "user", "assistant", "tool"]),
    content: z.union([z.string(), z.array(Part)], { error: contentDemand }).nullish(),
    name: optional(z.string()),
    tool_call_id: optional(z.string()),
    tool_calls: z.array(z.looseObject({})).max(requestLimits.messages).nullish(),
  },
  { error: "must be an object with a role and a content" },
);

/** The `messages` of a request. */
export const Messages = z
  .array(Message, { error: "must be a list of messages {role, content}" })
  .min(1)
  .max(requestLimits.messages);

/**
 * Messages as chat templates read them: parts are one text, and a developer is the system.
 *
 * @throws {ApiError} 400 when a message has no content and calls no tools, a part is no text, or two turns of the assistant
 *   follow each other.
 */
export function readMessages(messages: z.output<typeof Messages>): ChatMessage[] {
  const turns = messages.map((message, i) => {
    const place = `messages[${i}]`;
    if (message.role === "assistant" && messages[i - 1]?.role === "assistant") {
      throw wrongField(`${place}.role`, `${place}.role: two turns of the assistant follow each other; join them`);
    }
    return readMessage(message, place);
  });
  return fieldsFault(() => templateTurns(turns));
}

function readMessage(message: z.output<typeof Message>, place: string) {
  const { role, content, name, tool_call_id: answered, tool_calls: calls } = message;
  const isCall = role === "assistant" && (calls ?? []).length > 0; // whoever calls need not speak
  return {
    role: role === "developer" ? "system" : role,
    content: contentOf(isCall ? (content ?? null) : content, place),
    ...(name === null ? {} : { name }),
    ...(answered === null ? {} : { tool_call_id: answered }),
    ...(calls ? { tool_calls: calls as Json } : {}),
  };
}

/** What functions make of fields whose complaints begin with the name of the field. */
export function fieldsFault<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SettingsError || error instanceof UnsupportedError)) throw error;
    const [param = ""] = error.message.split(": ");
    throw wrongField(param, error.message, error instanceof UnsupportedError ? "unsupported_parameter" : null);
  }
}

function contentOf(content: z.output<typeof Message>["content"], place: string): string {
  if (content === undefined) throw wrongField(`${place}.content`, `${place}.content is missing; it ${contentDemand}`);
  if (content === null) return "";
  if (typeof content === "string") return content;
  return content
    .map(({ type, text }, i) => {
      const param = `${place}.content[${i}]`;
      if (type !== "text")
        throw unsupportedField(`${param}.type`, `the model reads text only, got ${JSON.stringify(type.slice(0, 40))}`);
      if (text === null) throw wrongField(`${param}.text`, `${param}.text is missing; it must be text`);
      return text;
    })
    .join("\n");
}

/** What a chat template makes of messages; that it refuses them is the request's fault. */
export async function written<Result>(text: Promise<Result>): Promise<Result> {
  try {
    return await text;
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw new ApiError(400, error.message, { param: "messages", code: "template_refused" });
  }
}
