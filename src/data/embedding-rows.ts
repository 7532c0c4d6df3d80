import { DataError } from "../core/errors.ts";
import { BadRows } from "./bad-rows.ts";
import type { JsonlRow } from "./jsonl.ts";
import { stringColumn } from "./jsonl.ts";
import type { Layout } from "./records.ts";
import { columnError, readAll } from "./records.ts";

/** A row that embeddings are learned from. */
export interface EmbeddingRow {
  /** How messages name it. */
  readonly where: string;
  /** An anchor, what belongs to it, and texts that do not; or two texts that are compared. */
  readonly texts: readonly string[];
  /** How alike the two texts are; null where the second belongs to the first. */
  readonly score: number | null;
}

/** In which columns the rows are, where they are not found by their names. */
export interface EmbeddingColumns {
  /** None: known names are looked for. */
  readonly texts: readonly string[];
  /** Null: `score` where the texts are `sentence1` and `sentence2`, else none. */
  readonly score: string | null;
}

/**
 * Reads rows of sentence-transformers' layouts: `anchor, positive`, with `negative` or `negative_1`, `negative_2` and so
 * on where there are some, or `sentence1, sentence2, score`; or of the named columns.
 *
 * @param bad - What is done with a row that cannot be used.
 * @throws {DataError} naming file, row and column, when one is missing, a text is empty, or rows differ in their columns.
 */
export async function readEmbeddingRows(
  paths: readonly string[],
  columns: EmbeddingColumns,
  bad = new BadRows(),
): Promise<EmbeddingRow[]> {
  const rows = await readAll(paths, layoutsOf(columns), bad);
  const [first] = rows;
  const other = rows.find(
    ({ texts, score }) => texts.length !== first?.texts.length || (score === null) !== (first.score === null),
  );
  if (first && other) {
    throw new DataError(
      `${other.where}: has ${other.texts.length} texts${other.score === null ? "" : " and a score"}, the first row ` +
        `${first.texts.length}${first.score === null ? "" : " and a score"}; give rows of one kind`,
    );
  }
  return rows;
}

function layoutsOf({ texts, score }: EmbeddingColumns): Layout<EmbeddingRow>[] {
  if (texts.length === 1) throw new DataError(`text-columns: ${texts[0]} is one column; name the two of a pair`);
  if (texts.length > 0) return [layout(texts, score)];
  const scored = layout(["sentence1", "sentence2"], score ?? "score");
  return score === null ? [scored, withNegatives] : [scored];
}

function layout(texts: readonly string[], score: string | null): Layout<EmbeddingRow> {
  const columns = score === null ? texts : [...texts, score];
  return {
    name: columns.join(", "),
    columns,
    read: (row) => ({
      where: row.where,
      texts: texts.map((column) => textOf(row, column)),
      score: score === null ? null : scoreOf(row, score),
    }),
  };
}

const withNegatives: Layout<EmbeddingRow> = {
  name: "anchor, positive, negative…",
  columns: ["anchor", "positive"],
  read(row) {
    const negatives = Object.keys(row.value).filter((name) => /^negative(_\d+)?$/.test(name));
    return layout(["anchor", "positive", ...negatives], null).read(row);
  },
};

function textOf(row: JsonlRow, column: string): string {
  const text = stringColumn(row, column, "--text-columns");
  if (text.trim() === "") throw columnError(row, column, "a text that is not empty");
  return text;
}

function scoreOf(row: JsonlRow, column: string): number {
  const value = row.value[column];
  const score = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof score !== "number" || !Number.isFinite(score)) throw columnError(row, column, "a number");
  return score;
}
