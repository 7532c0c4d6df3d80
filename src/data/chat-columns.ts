import type { ChatMessage } from "../text/chat-message.ts";
import { assistantRole, knownRoles } from "../text/chat-message.ts";
import type { TemplateVariables } from "../text/chat-template.ts";
import type { JsonlRow } from "./jsonl.ts";
import { columnError } from "./records.ts";

type Fields = Readonly<Record<string, unknown>>;

const shape = 'a list of messages such as {"role": "user", "content": "…"}';

/** A column of messages, in the layout of OpenAI (`role`, `content`) or of ShareGPT (`from`, `value`). */
export function messagesColumn(row: JsonlRow, column: string, expected = shape): ChatMessage[] {
  const value = row.value[column];
  if (!Array.isArray(value) || value.length === 0) throw columnError(row, column, expected);
  return value.map((entry: unknown, i) => {
    const message = isFields(entry) ? messageOf(entry) : null;
    if (!message) throw columnError(row, column, `${shape}; look at entry ${i + 1}`);
    return checkedMessage(row, column, message);
  });
}

/** A column that is a text, which becomes one message of `role`, or a list of messages, or one message. */
export function turnsColumn(row: JsonlRow, column: string, role: string): ChatMessage[] {
  const value = row.value[column];
  if (typeof value === "string") return [{ role, content: value }];
  const message = isFields(value) ? messageOf(value) : null;
  return message ? [checkedMessage(row, column, message)] : messagesColumn(row, column, `a text or ${shape}`);
}

/** A role that no template knows would be said to the model as it stands, and a turn so marked is not learnt. */
function checkedMessage(row: JsonlRow, column: string, message: ChatMessage): ChatMessage {
  const { role, weight, train } = message;
  if (![undefined, 0, 1].includes(weight as number | undefined)) {
    throw columnError(row, column, `messages whose "weight" is 0 (context only) or 1, not ${JSON.stringify(weight)}`);
  }
  if (!["undefined", "boolean"].includes(typeof train)) {
    throw columnError(row, column, `messages whose "train" is true or false, not ${JSON.stringify(train)}`);
  }
  if (knownRoles.includes(role)) return message;
  throw columnError(row, column, `messages of the roles ${knownRoles.join(", ")}, not ${JSON.stringify(message.role)}`);
}

/**
 * The one answer in a column: a text, a message, or a list of messages that begins with `prompt` and ends with one turn
 * of the assistant.
 *
 * @throws {DataError} when it is empty or something else.
 */
export function answerColumn(row: JsonlRow, column: string, prompt: readonly ChatMessage[] = []): ChatMessage {
  const turns = turnsColumn(row, column, assistantRole);
  const own = startsWith(turns, prompt) ? turns.slice(prompt.length) : turns;
  const [answer, ...more] = own;
  if (answer?.role !== assistantRole || more.length > 0) throw columnError(row, column, "one turn of the assistant");
  if (answer.content.trim() === "" && !("tool_calls" in answer))
    throw columnError(row, column, "an answer that is not empty");
  const { weight: _, train: __, ...compared } = answer;
  return compared;
}

/** Whether a conversation begins with `beginning`. */
export function startsWith(messages: readonly ChatMessage[], beginning: readonly ChatMessage[]): boolean {
  const isSame = (message: ChatMessage | undefined, i: number): boolean =>
    message?.role === beginning[i]?.role && message?.content === beginning[i]?.content;
  return beginning.every((_, i) => isSame(messages[i], i));
}

/** The turns before an answer: the columns `prompt`; `instruction` (with `input`, `history`); or `conversations`. */
export function promptColumns(row: JsonlRow): ChatMessage[] {
  const { value } = row;
  const system: ChatMessage[] =
    typeof value.system === "string" && value.system !== "" ? [systemTurn(value.system)] : [];
  if ("prompt" in value) return [...system, ...filled(row, "prompt", turnsColumn(row, "prompt", "user"))];
  if ("conversations" in value) return [...system, ...messagesColumn(row, "conversations")];
  if (typeof value.instruction !== "string") throw columnError(row, "instruction", "a text");
  const content = [value.instruction, value.input].filter((part) => typeof part === "string" && part !== "").join("\n");
  if (content === "") throw columnError(row, "instruction", "a text that is not empty");
  return [...system, ...historyColumn(row), { role: "user", content }];
}

/**
 * What a row has for the chat template beside its messages: the column `tools`, a list of functions or JSON text of one,
 * and the entries of `chat_template_kwargs`.
 *
 * @throws {DataError} when they hold something else.
 */
export function templateColumns(row: JsonlRow): TemplateVariables {
  const { tools, chat_template_kwargs: more = {} } = row.value;
  if (!isFields(more)) throw columnError(row, "chat_template_kwargs", "an object");
  if (tools === undefined || tools === "") return more;
  const list = typeof tools === "string" ? parsedList(tools) : tools;
  if (!Array.isArray(list) || !list.every(isFields)) {
    throw columnError(row, "tools", "a list of functions that may be called, or JSON text of one");
  }
  return list.length > 0 ? { ...more, tools: list } : more;
}

function parsedList(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Columns that {@link promptColumns} finds a prompt in. */
export const promptLayouts = ["prompt", "instruction", "conversations"] as const;

function systemTurn(content: string): ChatMessage {
  return { role: "system", content };
}

function filled(row: JsonlRow, column: string, turns: ChatMessage[]): ChatMessage[] {
  if (turns.every(({ content }) => content.trim() === "")) throw columnError(row, column, "a prompt that is not empty");
  return turns;
}

function historyColumn(row: JsonlRow): ChatMessage[] {
  const history = row.value.history ?? [];
  const expected = "a list of pairs [instruction, answer]";
  if (!Array.isArray(history)) throw columnError(row, "history", expected);
  return history.flatMap((pair: unknown) => {
    const [user, answer] = Array.isArray(pair) ? pair : [];
    if (typeof user !== "string" || typeof answer !== "string") throw columnError(row, "history", expected);
    return [
      { role: "user", content: user },
      { role: assistantRole, content: answer },
    ];
  });
}

const shareGptRoles: Readonly<Record<string, string>> = {
  human: "user",
  gpt: assistantRole,
  observation: "tool",
  function_call: assistantRole,
};

function messageOf({ role, content, from, value, ...rest }: Fields): ChatMessage | null {
  if (typeof from === "string" && typeof value === "string") {
    return { ...rest, role: shareGptRoles[from] ?? from, content: value };
  }
  const text = textOf(content) ?? (content === undefined && "tool_calls" in rest ? "" : null);
  return typeof role === "string" && text !== null ? { ...rest, role, content: text } : null;
}

/** Content that is a text, or a list of parts that are all texts. */
function textOf(content: unknown): string | null {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return null;
  const parts = content.map((part: unknown) => (isFields(part) && typeof part.text === "string" ? part.text : null));
  return parts.every((part) => part !== null) ? parts.join("") : null;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
