import { readFile } from "node:fs/promises";
import { DataError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import { fileError } from "../files/file-error.ts";
import type { Picture } from "../images/picture.ts";
import { composite } from "../images/picture.ts";
import { readPicture } from "../images/read-picture.ts";
import { resizeSquare } from "../images/resize.ts";

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
export function prepared(picture: Picture, size: number): Picture {
  return resizeSquare(composite(picture), size, "bicubic");
}

/**
 * Pictures of files as {@link prepared} makes them, in their order; a file that is named twice is read once. They stay
 * in memory as bytes: 3 · size² for each.
 *
 * @throws {DataError} naming the first that cannot be read.
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export async function loadPictures(paths: readonly string[], size: number, signal?: AbortSignal): Promise<Picture[]> {
  const known = new Map<string, Picture>();
  const pictures: Picture[] = [];
  for (const path of paths) {
    await turnEventLoopWhenDue();
    signal?.throwIfAborted();
    const picture = known.get(path) ?? prepared(await openPicture(path), size);
    known.set(path, picture);
    pictures.push(picture);
  }
  return pictures;
}
