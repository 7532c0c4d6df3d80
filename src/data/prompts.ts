import { DataError } from "../core/errors.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import { assistantRole } from "../text/chat-message.ts";
import type { TemplateVariables } from "../text/chat-template.ts";
import { BadRows } from "./bad-rows.ts";
import { messagesColumn, promptColumns, promptLayouts, templateColumns } from "./chat-columns.ts";
import { readAll } from "./records.ts";

/** Turns that ask for an answer. */
export interface Prompt {
  /** How messages name it. */
  readonly where: string;
  readonly messages: readonly ChatMessage[];
  /** What the chat template may refer to beside the messages, such as `tools`. */
  readonly variables?: TemplateVariables | undefined;
  /** All columns of its row, as far as it comes from one. */
  readonly row?: Readonly<Record<string, unknown>>;
}

/**
 * Prompts from files of JSON, CSV or Parquet: the column `prompt` or `instruction` of any data set, or the turns of `messages`
 * or `conversations` before the last one of the assistant. Further columns are ignored, and a prompt that comes again
 * in the next row is given once.
 *
 * @param bad - What is done with a row that cannot be used.
 * @param isByRow - Whether rows that differ in any column are two prompts.
 * @throws {DataError} naming row and column, when there is none of these or a prompt is empty.
 */
export async function readPrompts(paths: readonly string[], bad = new BadRows(), isByRow = false): Promise<Prompt[]> {
  const layouts = (["messages", ...promptLayouts] as const).map((column) => ({
    name: `"${column}"`,
    columns: [column],
    read: (row: Parameters<typeof promptColumns>[0]): Prompt => {
      const turns = column === "messages" ? messagesColumn(row, "messages") : promptColumns(row);
      const end = turns.findLastIndex(({ role }) => role === assistantRole);
      const messages = end === turns.length - 1 ? turns.slice(0, end) : turns;
      if (messages.length === 0) throw new DataError(`${row.where}: column "${column}": there is no turn to answer`);
      return { where: row.where, messages, variables: templateColumns(row), row: row.value };
    },
  }));
  const all = await readAll(paths, layouts, bad);
  const key = (prompt: Prompt | undefined): string =>
    JSON.stringify(isByRow ? prompt?.row : [prompt?.messages, prompt?.variables]);
  return all.filter((prompt, i) => i === 0 || key(prompt) !== key(all[i - 1]));
}
