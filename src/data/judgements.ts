import type { ChatMessage } from "../text/chat-message.ts";
import type { TemplateVariables } from "../text/chat-template.ts";
import { BadRows } from "./bad-rows.ts";
import { answerColumn, promptColumns, promptLayouts, templateColumns } from "./chat-columns.ts";
import type { JsonlRow } from "./jsonl.ts";
import { rankingLayouts } from "./rankings.ts";
import type { Layout } from "./records.ts";
import { columnError, readAll } from "./records.ts";

/** One answer that somebody wants, or does not. */
export interface Judgement {
  /** How messages name it. */
  readonly where: string;
  readonly prompt: readonly ChatMessage[];
  /** What the chat template may refer to beside the messages, such as `tools`. */
  readonly variables?: TemplateVariables | undefined;
  readonly answer: ChatMessage;
  readonly isDesirable: boolean;
}

const layouts: readonly Layout<readonly Judgement[]>[] = [
  ...promptLayouts.map((column) => judged(column)),
  ...rankingLayouts.map(({ name, columns, read }) => ({
    ...{ name, columns },
    read(row: JsonlRow): Judgement[] {
      const { where, prompt, variables, answers, ranks } = read(row);
      return answers.map((answer, i) => ({ where, prompt, variables, answer, isDesirable: ranks[i] === 1 }));
    },
  })),
];

/**
 * Single answers and what is thought of them from files of JSON, CSV or Parquet: `prompt`, `completion` and `label`, true
 * where the answer is wanted. Of pairs and rankings the best answers are wanted and the others not.
 *
 * @param bad - What is done with a row that cannot be used.
 * @throws {DataError} naming row and column, when columns are wrong or mixed, an answer is empty or a label no label.
 */
export async function readJudgements(paths: readonly string[], bad = new BadRows()): Promise<Judgement[]> {
  return (await readAll(paths, layouts, bad)).flat();
}

function judged(column: string): Layout<readonly Judgement[]> {
  return {
    name: `"${column}", "completion" and "label"`,
    columns: [column, "completion", "label"],
    read(row) {
      const prompt = promptColumns(row);
      const answer = answerColumn(row, "completion", prompt);
      return [{ where: row.where, prompt, variables: templateColumns(row), answer, isDesirable: labelColumn(row) }];
    },
  };
}

const labels = new Map<unknown, boolean>([
  ...[true, 1, "true", "True", "1"].map((value) => [value, true] as const),
  ...[false, 0, "false", "False", "0"].map((value) => [value, false] as const),
]);

function labelColumn(row: JsonlRow): boolean {
  const label = labels.get(row.value.label);
  if (label === undefined) throw columnError(row, "label", "true (a wanted answer) or false");
  return label;
}
