import { readFile } from "node:fs/promises";
import { DataError, FileError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import { fileError } from "../files/file-error.ts";
import type { Picture } from "../images/picture.ts";
import { composite } from "../images/picture.ts";
import { readPicture } from "../images/read-picture.ts";
import { resizeSquare } from "../images/resize.ts";
import { BadRows } from "./bad-rows.ts";
import type { PictureRow } from "./picture-rows.ts";

/** The largest file that is read as a picture. */
const mostBytes = 2 ** 28;

/**
 * The picture of a file or of a `data:` URL.
 *
 * @throws {FileError} when the file cannot be read.
 * @throws {DataError} when it is no picture, damaged or too large.
 */
export async function openPicture(path: string): Promise<Picture> {
  if (path.startsWith("data:")) return readPicture(ofDataUrl(path), { name: `${path.slice(0, 30)}…` });
  if (/^https?:/.test(path)) throw new DataError(`${path}: pictures are not fetched; save it as a file and name that`);
  const bytes = await readFile(path).catch((error: unknown) => {
    throw fileError(path, "read", error);
  });
  if (bytes.length > mostBytes) throw new DataError(`${path}: has ${bytes.length} bytes; make the picture smaller`);
  return readPicture(bytes, { name: path });
}

function ofDataUrl(url: string): Uint8Array {
  const [, base64] = /^data:[^,]*;base64,([A-Za-z0-9+/=\s]+)$/.exec(url) ?? [];
  if (base64 === undefined)
    throw new DataError(`${url.slice(0, 30)}…: is no picture in base64; write data:image/png;base64,…`);
  return Buffer.from(base64, "base64");
}

/**
 * The square in the middle of a picture as a model sees it: on white, `size` pixels wide, by CLIP's cubic filter.
 */
export function preparedPicture(picture: Picture, size: number): Picture {
  return resizeSquare(composite(picture), size, "bicubic");
}

/** Rows with their pictures, in the same order. */
export interface DescribedPictures {
  readonly rows: readonly PictureRow[];
  readonly pictures: readonly Picture[];
}

/**
 * Pictures of rows as {@link preparedPicture} makes them; a file that is named twice is read once. They stay in memory as bytes:
 * 3 · size² for each.
 *
 * @param bad - What is done with a row whose picture is not there, or is none.
 * @throws {DataError} naming row and picture, where such a row is an error.
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export async function loadPictures(
  rows: readonly PictureRow[],
  size: number,
  bad = new BadRows(),
  signal?: AbortSignal,
): Promise<DescribedPictures> {
  const known = new Map<string, Picture>();
  const found: { row: PictureRow; picture: Picture }[] = [];
  for (const row of rows) {
    await turnEventLoopWhenDue();
    signal?.throwIfAborted();
    try {
      const picture = known.get(row.picture) ?? preparedPicture(await openPicture(row.picture), size);
      known.set(row.picture, picture);
      found.push({ row, picture });
    } catch (error) {
      if (!(error instanceof DataError || error instanceof FileError)) throw error;
      bad.add(new DataError(`${row.where}: ${error.message}`, { cause: error }));
    }
  }
  bad.refuseNone(found.length);
  return { rows: found.map(({ row }) => row), pictures: found.map(({ picture }) => picture) };
}
