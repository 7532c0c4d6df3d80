import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DataError } from "../../core/errors.ts";
import { writeFolderAtomic } from "../../files/atomic-write.ts";
import { makeFolder } from "../../files/make-folder.ts";
import type { Picture } from "../../images/picture.ts";
import { writePng } from "../../images/png-writer.ts";

/** A picture of a recipe, and what is known of it. */
export interface RecipePicture {
  readonly part: "train" | "test";
  /** Path of its file in the folder of its part. */
  readonly path: string;
  readonly picture: Picture;
  /** Its row of `metadata.jsonl`, but for `file_name`. */
  readonly row: object;
}

/** How a folder of pictures with texts is made of data that packages hold. */
export interface PictureRecipe {
  readonly name: string;
  /** One line, with where the data come from. */
  readonly summary: string;
  /** The stage that learns from it. */
  readonly stage: string;
  /** @throws {DataError} when a package is not installed. */
  pictures(): AsyncIterable<RecipePicture>;
}

/** A folder that was written, and how many pictures are in it. */
export interface WrittenPictures {
  readonly folder: string;
  readonly count: number;
}

/**
 * Writes the parts of a recipe: `<output>/<name>-train` and `-test`, folders of pictures with `metadata.jsonl`, each
 * complete or absent; older ones are replaced.
 *
 * @throws {DataError} when a package is not installed.
 * @throws {FileError} when a folder cannot be written.
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export async function writePictures(
  recipe: PictureRecipe,
  output: string,
  signal?: AbortSignal,
): Promise<WrittenPictures[]> {
  await makeFolder(output);
  const rows = { train: [] as object[], test: [] as object[] };
  const files = { train: new Map<string, Uint8Array>(), test: new Map<string, Uint8Array>() };
  for await (const { part, path, picture, row } of recipe.pictures()) {
    signal?.throwIfAborted();
    rows[part].push({ file_name: path, ...row });
    files[part].set(path, writePng(picture));
  }
  if (rows.train.length === 0) throw new DataError(`data: ${recipe.name} gave no pictures; install its packages again`);
  const written: WrittenPictures[] = [];
  for (const part of ["train", "test"] as const) {
    const folder = join(output, `${recipe.name}-${part}`);
    await writeFolderAtomic(folder, (partial) => fill(partial, files[part], rows[part]));
    written.push({ folder, count: rows[part].length });
  }
  return written;
}

async function fill(folder: string, files: ReadonlyMap<string, Uint8Array>, rows: readonly object[]): Promise<void> {
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  await writeFile(join(folder, "metadata.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}
