import { DataError } from "../core/errors.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import { assistantRole, isLearnt } from "../text/chat-message.ts";
import type { TemplateVariables } from "../text/chat-template.ts";
import { BadRows } from "./bad-rows.ts";
import { messagesColumn, promptColumns, templateColumns, turnsColumn } from "./chat-columns.ts";
import type { JsonlRow } from "./jsonl.ts";
import type { Layout } from "./records.ts";
import { columnError, readAll } from "./records.ts";

/** Turns to learn from, at least one of them the assistant's and not context only. */
export interface Conversation {
  /** How messages name it. */
  readonly where: string;
  readonly messages: readonly ChatMessage[];
  /** What the chat template may refer to beside the messages, such as `tools`. */
  readonly variables?: TemplateVariables | undefined;
}

const layouts: readonly Layout<Conversation>[] = [
  layout('"messages"', ["messages"], "messages", (row) => [...systemOf(row), ...messagesColumn(row, "messages")]),
  layout('ShareGPT\'s "conversations"', ["conversations"], "conversations", promptColumns),
  layout('"prompt" and "completion"', ["prompt", "completion"], "completion", (row) => [
    ...promptColumns(row),
    ...turnsColumn(row, "completion", assistantRole),
  ]),
  layout('Alpaca\'s "instruction" and "output"', ["instruction", "output"], "output", (row) => [
    ...promptColumns(row),
    ...turnsColumn(row, "output", assistantRole),
  ]),
];

/**
 * Conversations from files of JSON, CSV or Parquet whose rows have `messages`; `prompt` and `completion`, each a text or
 * messages; Alpaca's `instruction`, `input`, `output`, `system`, `history`; or ShareGPT's `conversations` and `system`.
 *
 * @param bad - What is done with a row that cannot be used.
 * @throws {DataError} naming row and column, when columns are wrong or mixed, or an answer is empty or missing.
 */
export async function readConversations(paths: readonly string[], bad = new BadRows()): Promise<Conversation[]> {
  return readAll(paths, layouts, bad);
}

function layout(
  name: string,
  columns: readonly string[],
  answers: string,
  read: (row: JsonlRow) => ChatMessage[],
): Layout<Conversation> {
  return {
    name,
    columns,
    read(row) {
      const messages = read(row);
      const empty = messages.findIndex(
        (message) => isLearnt(message) && message.content.trim() === "" && message.tool_calls === undefined,
      );
      if (empty >= 0) {
        throw new DataError(
          `${row.where}: column "${answers}": turn ${empty + 1} is an empty answer; fill it in or remove the row`,
        );
      }
      if (!messages.some(({ role }) => role === assistantRole)) {
        throw columnError(row, answers, "a conversation with at least one turn of the assistant");
      }
      if (!messages.some(isLearnt)) {
        throw new DataError(
          `${row.where}: column "${answers}": every turn of the assistant is context only (weight 0), so that nothing is ` +
            "to be learnt; give one weight 1, or remove the row",
        );
      }
      return { where: row.where, messages, variables: templateColumns(row) };
    },
  };
}

function systemOf({ value }: JsonlRow): ChatMessage[] {
  return typeof value.system === "string" && value.system !== "" ? [{ role: "system", content: value.system }] : [];
}
