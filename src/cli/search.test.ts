import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCommand } from "../../test/run-command.ts";
import { openReference } from "../backend/reference/index.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { Random } from "../core/random.ts";
import { pictureTextContents } from "../generate/picture-text.ts";
import { filledPicture } from "../images/picture.ts";
import { writePng } from "../images/png-writer.ts";
import { Clip } from "../models/clip.ts";
import { Initializer } from "../nn/parameters.ts";
import { WordPieceTrainer } from "../text/word-piece-trainer.ts";
import { search } from "./search.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-search-command-"));
const at = (name: string): string => join(root, name);
afterAll(() => rmSync(root, { recursive: true }));

beforeAll(async () => {
  const trainer = new WordPieceTrainer({ vocabularySize: 60 });
  for (let i = 0; i < 3; i++) trainer.add("red green blue\n");
  const tokenizer = trainer.train();
  const tower = { width: 8, layers: 1, heads: 2, hidden: 16, activation: "geluTanh", normEpsilon: 1e-5 } as const;
  const text = { ...tower, vocabularySize: tokenizer.vocabularySize, context: 8, pooling: "last" } as const;
  const settings = { vision: { ...tower, imageSize: 8, patchSize: 4 }, text, projection: 6, hasBias: false };
  const model = new Clip(settings, new Initializer(openReference(), new Random(1)));
  const normalization = { mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5] };
  await writeModelFolder(at("clip"), pictureTextContents({ model, tokenizer, normalization }));
  mkdirSync(at("pictures/deep"), { recursive: true });
  const colours = { "red.png": [255, 0, 0], "deep/green.png": [0, 255, 0], "deep/blue.png": [0, 0, 255] };
  for (const [name, colour] of Object.entries(colours)) {
    writeFileSync(at(`pictures/${name}`), writePng(filledPicture(20, 9, colour)));
  }
});

const run = (given: object): ReturnType<typeof runCommand> =>
  runCommand(search, { model: at("clip"), pictures: [at("pictures")], threads: 1, ...given });

test("a picture is most like itself", async () => {
  const { result, shown } = await run({ like: at("pictures/deep/blue.png"), top: 2 });
  expect(result).toMatchObject({ found: [{ file: at("pictures/deep/blue.png"), similarity: 1 }, {}] });
  expect(shown).toContain(`  1.0000  ${at("pictures/deep/blue.png")}\n`);
});

test("texts find pictures in order, and classes have probabilities that sum to 1", async () => {
  const { result } = await run({ text: ["red", "blue"] });
  const { searches } = result as { searches: { text: string; found: { similarity: number }[] }[] };
  expect(searches.map(({ text, found }) => [text, found.length])).toEqual([
    ["red", 3],
    ["blue", 3],
  ]);
  for (const { found } of searches) {
    const values = found.map(({ similarity }) => similarity);
    expect(values).toEqual(values.toSorted((a, b) => b - a));
  }
  const { classes } = (await run({ labels: ["red", "blue"] })).result as {
    classes: { label: string; probabilities: Record<string, number> }[];
  };
  expect(classes).toHaveLength(3);
  for (const { label, probabilities } of classes) {
    const { red = 0, blue = 0 } = probabilities;
    expect(red + blue).toBeCloseTo(1, 5);
    expect(label).toBe(red > blue ? "red" : "blue");
  }
});

test.each([
  [{}, "search: give one of --text, --like and --labels"],
  [{ labels: ["one"] }, "labels: one class alone fits every picture"],
  [{ text: ["a"], pictures: [at("clip")] }, "holds no pictures by their names"],
])("what cannot be searched is said: %j", async (given, message) => {
  await expect(run(given)).rejects.toThrow(message);
});
