import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { DataError } from "../core/errors.ts";
import type { BadRows } from "../data/bad-rows.ts";
import type { JsonlRow } from "../data/jsonl.ts";
import { recipes } from "../data/recipes/index.ts";
import { readRecords } from "../data/records.ts";
import type { Doc } from "./doc-table.ts";
import { tableOf } from "./doc-table.ts";
import type { TaskFile } from "./task-file.ts";

const recipePrefix = "stemma/";

/**
 * The rows of one split of a task's data, as a table: of a recipe (`dataset_path: stemma/next-verse`), of files
 * (`json`, `csv`, `parquet` with `data_files`), or of a folder that holds `<split>.jsonl`, `.csv` or `.parquet`.
 *
 * @param folder - Where data sets that a task names lie: `<folder>/<dataset_path>[/<dataset_name>]/<split>.jsonl`.
 * @param bad - What is done with a row that cannot be read.
 * @throws {DataError} when they are not there, saying where they were looked for.
 */
export async function readDocs(config: TaskFile, split: string, folder: string, bad: BadRows): Promise<Doc[]> {
  const { dataset_path: path } = config;
  if (path.startsWith(recipePrefix)) return recipeDocs(path.slice(recipePrefix.length), split);
  const files = /^(json|csv|parquet)$/.test(path)
    ? namedFiles(config, split, folder)
    : [splitFile(config, split, folder)];
  const rows: JsonlRow["value"][] = [];
  for await (const { value } of readRecords(files, bad)) rows.push(value);
  bad.refuseNone(rows.length);
  return tableOf(rows);
}

function recipeDocs(name: string, split: string): Doc[] {
  const recipe = recipes.find((candidate) => candidate.name === name);
  if (!recipe) throw new DataError(`tasks: there is no recipe ${name}; stemma data lists all`);
  const rows = recipe.make()[split === "train" ? "train" : "test"];
  if (rows.length === 0) throw new DataError(`tasks: ${name} has no rows for ${split}`);
  return tableOf(rows as JsonlRow["value"][]);
}

function namedFiles(config: TaskFile, split: string, folder: string): string[] {
  const files = config.dataset_kwargs?.data_files;
  const named = typeof files === "string" ? files : files?.[split];
  if (named === undefined) {
    throw new DataError(`task ${config.task}: dataset_kwargs.data_files names no file for ${split}; add it`);
  }
  return [named].flat().map((file) => (isAbsolute(file) || existsSync(file) ? file : join(folder, file)));
}

function splitFile({ task, dataset_path: path, dataset_name: name }: TaskFile, split: string, folder: string): string {
  const places = [path, join(folder, path)].flatMap((place) => (name ? [join(place, name), place] : [place]));
  const candidates = places.flatMap((place) =>
    ["jsonl", "csv", "parquet"].map((kind) => join(place, `${split}.${kind}`)),
  );
  const found = candidates.find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new DataError(
    `task ${task}: its data ${path}${name ? ` (${name})` : ""} are not here: put them into ${candidates.at(-3)} (JSONL, CSV or ` +
      "Parquet), or name another --data-folder",
  );
}
