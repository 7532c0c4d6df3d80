import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { readPng } from "../../images/png-reader.ts";
import { emoji } from "./emoji.ts";
import { writePictures } from "./picture-recipe.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-emoji-"));
afterAll(() => rmSync(root, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

function packageOf(name: string, files: Readonly<Record<string, unknown>>): void {
  for (const [file, contents] of Object.entries({ "package.json": { name }, ...files })) {
    const path = join(root, "node_modules", name, file);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, JSON.stringify(contents));
  }
}

const square = (colour: string): object => ({
  body: `<rect width="8" height="8" fill="${colour}"/>`,
  width: 8,
  height: 8,
});

beforeAll(() => {
  packageOf("emojibase-data", {
    "en/data.json": [
      { label: "keycap: 3", hexcode: "0033-FE0F-20E3", tags: ["three"], group: 1 },
      { label: "full-moon face", hexcode: "1F31D", group: 0 },
      { label: "regional indicator A", hexcode: "1F1E6" },
    ],
    "meta/groups.json": { groups: { 0: "nature", 1: "symbols" } },
    ...Object.fromEntries(
      ["github", "iamcal", "joypixels", "emojibase"].map((set) => [`en/shortcodes/${set}.json`, { "1F31D": "moon_1" }]),
    ),
  });
  const empty = { "icons.json": { icons: {} }, "chars.json": {} };
  for (const name of ["openmoji", "noto", "noto-v1", "emojione", "emojione-v1"])
    packageOf(`@iconify-json/${name}`, empty);
  // One set knows code points, one has names without hyphens alone.
  packageOf("@iconify-json/twemoji", {
    "icons.json": { icons: { k3: square("#f00") } },
    "chars.json": { "33-20e3": "k3", "0033-20e3": "k3" },
  });
  packageOf("@iconify-json/fxemoji", {
    "icons.json": { icons: { fullmoonface: square("#0f0") } },
    "chars.json": {},
  });
  packageOf("@iconify-json/fluent-emoji-flat", {
    "icons.json": { icons: { "moon-1": square("#00f") } },
    "chars.json": {},
  });
});

test("emoji are found by code point or by name, drawn, and one artist is held out", async () => {
  vi.spyOn(process, "cwd").mockReturnValue(root);
  const written = await writePictures(emoji, join(root, "data"));
  const [train, test] = written.map(({ folder }) => folder);
  const rowsOf = (folder = ""): Record<string, unknown>[] =>
    readFileSync(join(folder, "metadata.jsonl"), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
  expect(rowsOf(train)).toEqual([
    {
      file_name: "twemoji/0033-fe0f-20e3.png",
      text: "keycap 3",
      texts: ["keycap 3"],
      tags: ["three"],
      category: "symbols",
      artist: "twemoji",
    },
    {
      file_name: "fxemoji/1f31d.png",
      text: "full moon face",
      texts: ["full moon face", "moon 1"],
      tags: [],
      category: "nature",
      artist: "fxemoji",
    },
  ]);
  expect(rowsOf(test)).toMatchObject([
    { file_name: "fluent-emoji-flat/1f31d.png", artist: "fluent-emoji-flat", shown: true },
  ]);
  const { width, height, bytes } = readPng(readFileSync(join(train ?? "", "twemoji/0033-fe0f-20e3.png")));
  expect([width, height, ...bytes.subarray(0, 4)]).toEqual([64, 64, 255, 0, 0, 255]);
  await writePictures(emoji, join(root, "data"));
  writeFileSync(join(train ?? "", "mine.txt"), "kept");
  await expect(writePictures(emoji, join(root, "data"))).rejects.toThrow("holds mine.txt, which is not of the recipe");
  expect(readFileSync(join(train ?? "", "mine.txt"), "utf8")).toBe("kept");
});

test("without the packages it says how to install them", async () => {
  vi.spyOn(process, "cwd").mockReturnValue(tmpdir());
  await expect(writePictures(emoji, join(root, "none"))).rejects.toThrow(
    "is not installed; run: npm install emojibase-data",
  );
});
