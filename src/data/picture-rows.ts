import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, extname, join, resolve } from "node:path";
import { DataError } from "../core/errors.ts";
import { fileError } from "../files/file-error.ts";
import { BadRows } from "./bad-rows.ts";
import type { JsonlRow } from "./jsonl.ts";
import { columnError, readRecords } from "./records.ts";

/** A picture and what is said of it. */
export interface PictureRow {
  /** File and line, or the file of the text, for messages. */
  readonly where: string;
  /** Path of the picture's file, or a `data:` URL that holds it. */
  readonly picture: string;
  readonly text: string;
  /** Other texts that say the same. */
  readonly texts: readonly string[];
  /** Words that belong to it. */
  readonly tags: readonly string[];
  /** Kind of thing; null where nothing says it. */
  readonly category: string | null;
}

const pictureName = /\.(png|jpe?g|gif|webp|svg|avif|tiff?|bmp)$/i;

/**
 * Pictures with texts. A path is a folder with `metadata.jsonl` (`{file_name, text}`, optionally `texts`, `tags` and
 * `category`), a folder of pictures with a text each beside them (`x.png`, `x.txt`), or a file of rows: those of
 * `metadata.jsonl`; LLaVA's `{image, conversations}`; chats `{messages, images}`, whose contents may be parts of types
 * `text`, `image` and `image_url`. Of a conversation the picture is the first, and the text the first answer. Paths in
 * rows start at the folder of their file.
 *
 * @throws {DataError} naming the row, when it has no picture or no text.
 */
export async function readPictureRows(paths: readonly string[], bad = new BadRows()): Promise<PictureRow[]> {
  const rows: PictureRow[] = [];
  for (const path of paths) {
    if (!(await isFolder(path))) await readRows(path, rows, bad);
    else if (await isFile(join(path, "metadata.jsonl"))) await readRows(join(path, "metadata.jsonl"), rows, bad);
    else await readSidecars(path, rows, bad);
  }
  bad.refuseNone(rows.length);
  if (rows.length === 0) throw new DataError("data: there are no pictures with texts; name a folder or a file of rows");
  return rows;
}

/**
 * Paths of all pictures in a folder and those below it, in order; of a file, itself.
 *
 * @throws {DataError} when there are none.
 */
export async function picturesIn(path: string): Promise<string[]> {
  if (!(await isFolder(path))) return [path];
  const names = await readdir(path, { recursive: true }).catch((error: unknown) => {
    throw fileError(path, "read", error);
  });
  const pictures = names.filter((name) => pictureName.test(name)).sort();
  if (pictures.length > 0) return pictures.map((name) => join(path, name));
  throw new DataError(`${path}: holds no pictures by their names (.png, .jpg, .gif, .webp …); name another folder`);
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch((error: unknown) => {
    throw fileError(path, "read", error);
  });
  return found.isDirectory();
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function readRows(path: string, rows: PictureRow[], bad: BadRows): Promise<void> {
  for await (const row of readRecords([path], bad)) {
    const read = bad.attempt(() => readRow(row, dirname(path)));
    if (read !== undefined) rows.push(read);
  }
}

async function readSidecars(folder: string, rows: PictureRow[], bad: BadRows): Promise<void> {
  for (const picture of await picturesIn(folder)) {
    const where = `${picture.slice(0, -extname(picture).length)}.txt`;
    const text = await readFile(where, "utf8").catch(() => null);
    const row = bad.attempt(() => {
      if (text === null || text.trim() === "")
        throw new DataError(
          `${picture}: there is no text in ${where}; write one, or give a metadata.jsonl in the folder`,
        );
      return { where, picture, text: text.trim(), texts: [], tags: [], category: null };
    });
    if (row !== undefined) rows.push(row);
  }
}

function readRow(row: JsonlRow, folder: string): PictureRow {
  const { value } = row;
  const read = "messages" in value ? ofChat(row) : "conversations" in value ? ofLlava(row) : ofMetadata(row);
  return { texts: [], tags: [], category: null, ...read, where: row.where, picture: located(read.picture, folder) };
}

function located(picture: string, folder: string): string {
  return picture.startsWith("data:") ? picture : resolve(folder, picture);
}

type Read = Pick<PictureRow, "picture" | "text"> & Partial<PictureRow>;

function ofMetadata(row: JsonlRow): Read {
  const { file_name: name, image, text, texts, tags, category } = row.value;
  const picture = name ?? image;
  if (!isText(picture)) throw columnError(row, "file_name", "the path of a picture");
  if (!isText(text)) throw columnError(row, "text", "a text that is not empty");
  if (category !== undefined && category !== null && !isText(category)) throw columnError(row, "category", "a text");
  return {
    picture,
    text,
    texts: listOf(row, "texts", texts),
    tags: listOf(row, "tags", tags),
    category: category ?? null,
  };
}

function listOf(row: JsonlRow, column: string, value: unknown): string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every(isText)) return value;
  throw columnError(row, column, "a list of texts");
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.trim() !== "";
}

/** LLaVA's rows: turns `from` human or gpt; `<image>` in a text is where the picture stands. */
function ofLlava(row: JsonlRow): Read {
  const { image, conversations } = row.value;
  if (!isText(image)) throw columnError(row, "image", "the path of a picture");
  const turns = Array.isArray(conversations) ? (conversations as { from?: unknown; value?: unknown }[]) : [];
  const answer = turns.find(({ from }) => from === "gpt" || from === "assistant")?.value;
  if (!isText(answer)) throw columnError(row, "conversations", 'turns of which one is from "gpt"');
  return { picture: image, text: answer.replaceAll("<image>", "").trim() };
}

interface Part {
  readonly type?: unknown;
  readonly text?: unknown;
  readonly image?: unknown;
  readonly image_url?: unknown;
}

function ofChat(row: JsonlRow): Read {
  const { messages, images } = row.value;
  const turns = Array.isArray(messages) ? (messages as { role?: unknown; content?: unknown }[]) : [];
  const parts = turns.flatMap(({ content }) => (Array.isArray(content) ? (content as Part[]) : []));
  const named = parts.map(pictureOfPart).find(isText) ?? (Array.isArray(images) ? pictureOf(images[0]) : undefined);
  if (!isText(named)) throw columnError(row, "images", "a list of paths, or a part of type image or image_url");
  const content = turns.find(({ role }) => role === "assistant")?.content;
  const answer = Array.isArray(content)
    ? (content as Part[]).map(({ text }) => (isText(text) ? text : "")).join("")
    : content;
  if (!isText(answer)) throw columnError(row, "messages", "messages of which one is the assistant's");
  return { picture: named, text: answer };
}

function pictureOfPart({ type, image, image_url: url }: Part): unknown {
  if (type === "image") return pictureOf(image);
  return type === "image_url" ? pictureOf(url) : undefined;
}

/** A path, or an object that has it as `path` or `url`. */
function pictureOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const { path, url } = value as { path?: unknown; url?: unknown };
  return path ?? url;
}
