import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { filledPicture } from "../images/picture.ts";
import { writePng } from "../images/png-writer.ts";
import { BadRows } from "./bad-rows.ts";
import { loadPictures, openPicture } from "./load-pictures.ts";
import type { PictureRow } from "./picture-rows.ts";
import { picturesIn, readPictureRows } from "./picture-rows.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-pictures-"));
afterAll(() => rmSync(folder, { recursive: true }));

function made(name: string, files: Readonly<Record<string, string | Uint8Array>>): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const [file, contents] of Object.entries(files)) writeFileSync(join(path, file), contents);
  return path;
}

const red = writePng(filledPicture(4, 2, [255, 0, 0]));
const jsonl = (...rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const nothing = { texts: [], tags: [], category: null };

test("a folder with metadata.jsonl", async () => {
  const row = { file_name: "a.png", text: "a cat", texts: ["cat"], tags: ["pet"], category: "animals" };
  const path = made("metadata", {
    "a.png": red,
    "metadata.jsonl": jsonl(row, { file_name: "b/c.png", text: "a dog" }),
  });
  const { file_name: _, ...known } = row;
  expect(await readPictureRows([path])).toEqual([
    { ...known, picture: join(path, "a.png"), where: `${join(path, "metadata.jsonl")}, line 1` },
    { ...nothing, text: "a dog", picture: join(path, "b/c.png"), where: `${join(path, "metadata.jsonl")}, line 2` },
  ]);
});

test("a folder of pictures with a text beside each; one without is named, or left out", async () => {
  const path = made("sidecars", { "a.png": red, "a.txt": " a cat\n", "b.jpg": red });
  await expect(readPictureRows([path])).rejects.toThrow(
    `${join(path, "b.jpg")}: there is no text in ${join(path, "b.txt")}; write one, or give a metadata.jsonl`,
  );
  expect(await readPictureRows([path], new BadRows("skip"))).toEqual([
    { ...nothing, text: "a cat", picture: join(path, "a.png"), where: join(path, "a.txt") },
  ]);
  expect(await picturesIn(path)).toEqual([join(path, "a.png"), join(path, "b.jpg")]);
});

test("LLaVA's conversations and chats with pictures, as columns or as parts", async () => {
  const url = `data:image/png;base64,${Buffer.from(red).toString("base64")}`;
  const turns = [
    { from: "human", value: "<image>\nWhat is it?" },
    { from: "gpt", value: "a cat" },
  ];
  const asked = (content: unknown): object => ({
    messages: [
      { role: "user", content },
      { role: "assistant", content: "a dog" },
    ],
  });
  const path = made("rows", {
    "llava.json": JSON.stringify([{ id: "1", image: "x.png", conversations: turns }]),
    "chats.jsonl": jsonl(
      { ...asked("what?"), images: ["y.png"] },
      asked([
        { type: "image", image: "z.png" },
        { type: "text", text: "what?" },
      ]),
      asked([{ type: "image_url", image_url: { url } }]),
    ),
  });
  const rows = await readPictureRows([join(path, "llava.json"), join(path, "chats.jsonl")]);
  expect(rows.map(({ picture, text }) => [picture, text])).toEqual([
    [join(path, "x.png"), "a cat"],
    [join(path, "y.png"), "a dog"],
    [join(path, "z.png"), "a dog"],
    [url, "a dog"],
  ]);
  expect((await openPicture(url)).width).toBe(4);
});

test.each([
  [{ text: "a" }, 'column "file_name" must be the path of a picture, it is nothing'],
  [{ file_name: "a.png", text: " " }, 'column "text" must be a text that is not empty, it is " "'],
  [{ file_name: "a.png", text: "a", tags: "b" }, 'column "tags" must be a list of texts, it is "b"'],
  [{ image: "a.png", conversations: [] }, 'column "conversations" must be turns of which one is from "gpt", it is []'],
  [{ messages: [] }, 'column "images" must be a list of paths, or a part of type image or image_url, it is nothing'],
])("a row that is none is named by its line: %j", async (row, message) => {
  const path = join(folder, "bad.jsonl");
  writeFileSync(path, jsonl(row));
  await expect(readPictureRows([path])).rejects.toThrow(`${path}, line 1: ${message}`);
});

test("pictures become squares of one size; what is none, or is not here, is named", async () => {
  const path = made("load", { "a.png": red, "b.png": "no picture" });
  const row = (name: string): PictureRow => ({ ...nothing, where: name, picture: join(path, name), text: "a" });
  const { pictures } = await loadPictures([row("a.png"), row("a.png")], 2);
  expect(pictures[0]).toEqual(filledPicture(2, 2, [255, 0, 0]));
  expect(pictures[1]).toBe(pictures[0]);
  await expect(loadPictures([row("b.png")], 2)).rejects.toThrow(`b.png: ${join(path, "b.png")}: cannot be read (`);
  await expect(loadPictures([row("c.png")], 2)).rejects.toThrow(`c.png: ${join(path, "c.png")}: cannot read`);
  const bad = new BadRows("skip");
  expect((await loadPictures([row("b.png"), row("a.png")], 2, bad)).rows).toEqual([row("a.png")]);
  expect(bad.count).toBe(1);
  await expect(openPicture("https://x.org/a.png")).rejects.toThrow("pictures are not fetched; save it as a file");
  await expect(openPicture("data:image/png,abc")).rejects.toThrow("is no picture in base64");
});
