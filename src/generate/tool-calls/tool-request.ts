import { z } from "zod";
import { SettingsError } from "../../core/errors.ts";
import type { JsonRecord } from "../../files/json.ts";
import { isJsonObject } from "../../files/json.ts";
import type { ChatMessage } from "../../text/chat-message.ts";

/** Tools of one request, at most. */
const mostTools = 128;

/** A function that a model may ask to be called. */
export const Tool = z.object({
  type: z.literal("function"),
  function: z.object({
    name: z.string().regex(/^[\w.-]{1,64}$/, "must be 1 to 64 letters, digits, _, . or -"),
    description: z.string().nullish(),
    /** JSON schema of the arguments, an object; none when left out. */
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.boolean().nullish(),
  }),
});
export type Tool = z.output<typeof Tool>;

/** What a chat request says of tools, to spread into its schema. */
export const toolFields = {
  tools: z.array(Tool).max(mostTools).nullish().describe("functions that the model may ask to be called"),
  tool_choice: z
    .union([
      z.enum(["none", "auto", "required"]),
      z.object({ type: z.literal("function"), function: z.object({ name: z.string() }) }),
    ])
    .nullish()
    .describe("whether tools are called: none, auto (the model decides), required, or one by its name"),
  parallel_tool_calls: z.boolean().nullish().describe("whether an answer may ask for several calls; on when left out"),
} as const;

const ToolFields = z.object(toolFields);

/** What a request says of tools. */
export type ToolFields = z.output<typeof ToolFields>;

/** Tools that an answer may call. */
export interface ToolChoice {
  readonly tools: readonly Tool[];
  /** Whether it must call one. */
  readonly isRequired: boolean;
  /** Whether it may call several. */
  readonly isParallel: boolean;
}

/**
 * The tools that an answer may call; null where it may call none.
 *
 * @throws {SettingsError} beginning with the name of the field that is wrong.
 */
export function toolChoice({
  tools,
  tool_choice: choice,
  parallel_tool_calls: parallel,
}: ToolFields): ToolChoice | null {
  const all = tools ?? [];
  const names = all.map((tool) => tool.function.name);
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated !== undefined) {
    throw new SettingsError(`tools: ${repeated} is there twice; give each function a name of its own`);
  }
  const isNamed = typeof choice === "object" && choice !== null;
  if (all.length === 0 && (choice === "required" || isNamed)) {
    throw new SettingsError("tool_choice: asks for a call, but there are no tools; add tools, or leave it out");
  }
  if (all.length === 0 || choice === "none") return null;
  const isParallel = parallel ?? true;
  if (!isNamed) return { tools: all, isRequired: choice === "required", isParallel };
  const named = all.filter((tool) => tool.function.name === choice.function.name);
  if (named.length > 0) return { tools: named, isRequired: true, isParallel: false };
  throw new SettingsError(
    `tool_choice: there is no tool ${JSON.stringify(choice.function.name)}; the tools are ${names.join(", ")}`,
  );
}

/**
 * Turns as templates read them: the arguments of calls, which requests hold as JSON text, become objects, and a turn that
 * only calls has no text.
 *
 * @throws {SettingsError} beginning with the field, when arguments are no JSON object.
 */
export function templateTurns(messages: readonly JsonRecord[]): ChatMessage[] {
  return messages.map((message, i) => {
    const { tool_calls: calls, content, ...rest } = message;
    const turn = { ...rest, role: String(message.role), content: typeof content === "string" ? content : "" };
    if (!Array.isArray(calls) || calls.length === 0) return turn;
    return {
      ...turn,
      tool_calls: calls.map((call: unknown, k) => templateCall(call, `messages[${i}].tool_calls[${k}]`)),
    };
  });
}

function templateCall(call: unknown, where: string): object {
  const asked = isJsonObject(call) ? call.function : undefined;
  if (!isJsonObject(call) || !isJsonObject(asked) || typeof asked.name !== "string") {
    throw new SettingsError(
      `${where}: must have a function with a name; give {type: "function", function: {name, arguments}}`,
    );
  }
  const parsed = typeof asked.arguments === "string" ? parse(asked.arguments || "{}") : (asked.arguments ?? {});
  if (!isJsonObject(parsed)) {
    throw new SettingsError(`${where}.function.arguments: must be the JSON text of an object; correct it`);
  }
  return { ...call, type: "function", function: { ...asked, arguments: parsed } };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
