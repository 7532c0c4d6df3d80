import { mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DataError } from "../../core/errors.ts";
import { writeFolderAtomic } from "../../files/atomic-write.ts";
import { fileError, systemCode } from "../../files/file-error.ts";
import { makeFolder } from "../../files/make-folder.ts";
import type { Picture } from "../../images/picture.ts";
import { writePng } from "../../images/png-writer.ts";

/** Texts of the pictures, in their folder. */
const rowsFile = "metadata.jsonl";

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
 * @throws {DataError} when a package is not installed, or a folder holds anything but what the recipe writes.
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
    await refuseOthers(folder, [...files[part].keys()]);
    await writeFolderAtomic(folder, (partial) => fill(partial, files[part], rows[part]));
    written.push({ folder, count: rows[part].length });
  }
  return written;
}

/** Makes sure that replacing a folder deletes nothing that is not written anew. */
async function refuseOthers(folder: string, paths: readonly string[]): Promise<void> {
  const own = new Set([rowsFile, ...paths.map((path) => path.split("/")[0])]);
  const names = await readdir(folder).catch((error: unknown): string[] => {
    if (systemCode(error) === "ENOENT") return [];
    throw fileError(folder, "read", error);
  });
  const other = names.find((name) => !own.has(name));
  if (other === undefined) return;
  throw new DataError(
    `${folder}: holds ${other}, which is not of the recipe; choose another --output, or move it away`,
  );
}

async function fill(folder: string, files: ReadonlyMap<string, Uint8Array>, rows: readonly object[]): Promise<void> {
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  await writeFile(join(folder, rowsFile), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}
