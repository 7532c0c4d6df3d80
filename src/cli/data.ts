import { join } from "node:path";
import { z } from "zod";
import { SettingsError } from "../core/errors.ts";
import { suggestion } from "../core/nearest.ts";
import { pictureRecipes, recipes } from "../data/recipes/index.ts";
import type { PictureRecipe } from "../data/recipes/picture-recipe.ts";
import { writePictures } from "../data/recipes/picture-recipe.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { makeFolder } from "../files/make-folder.ts";
import type { Io } from "./command.ts";
import { defineCommand } from "./command.ts";

/** `stemma data`: rows of a task or a text to pretrain on, made of real texts that packages hold. */
export const data = defineCommand({
  name: "data",
  summary: "make the rows of a task, or a text, from what packages hold",
  group: "Data and files",
  settings: z.object({
    recipe: z
      .string()
      .min(1)
      .optional()
      .describe("what to make; without, all are listed")
      .meta({ placeholder: "name" }),
    output: z
      .string()
      .min(1)
      .default("data")
      .describe("folder for <recipe>-train.jsonl and <recipe>-test.jsonl, of pictures for folders of these names")
      .meta({ placeholder: "folder" }),
  }),
  examples: ["stemma data", "stemma data --recipe wordnet-topic"],
  async run({ recipe: name, output }, io) {
    if (name === undefined) {
      const all = [...recipes, ...pictureRecipes];
      const width = Math.max(...all.map((recipe) => recipe.name.length));
      for (const recipe of all) io.print(`${recipe.name.padEnd(width)}  ${recipe.summary}`);
      return { recipes: all.map((recipe) => recipe.name) };
    }
    const pictures = pictureRecipes.find((candidate) => candidate.name === name);
    if (pictures) return makePictures(pictures, output, io);
    const recipe = recipes.find((candidate) => candidate.name === name);
    if (!recipe) {
      const names = [...recipes, ...pictureRecipes].map((candidate) => candidate.name);
      throw new SettingsError(
        `recipe: there is none called ${name}${suggestion(name, names, "; stemma data lists all")}`,
      );
    }
    await makeFolder(output);
    const files: string[] = [];
    for (const [part, rows] of Object.entries(recipe.make())) {
      if (rows.length === 0) continue;
      const path = join(output, `${recipe.name}-${part}.jsonl`);
      await writeFileAtomic(path, rows.map((row: object) => `${JSON.stringify(row)}\n`).join(""));
      io.print(`${rows.length} rows in ${path}`);
      files.push(path);
    }
    const [train, test] = files;
    if (test !== undefined) {
      const score = recipe.isScore ? " --score" : "";
      const use =
        recipe.task === null ? (recipe.stage ?? "pretrain") : `finetune --task ${recipe.task} --model <folder>`;
      io.print(`next: stemma ${use} --data ${train} --validation ${test}${score} --output <folder>`);
    }
    return { files };
  },
});

async function makePictures(recipe: PictureRecipe, output: string, io: Io): Promise<object> {
  const written = await writePictures(recipe, output, io.stopSignal());
  for (const { folder, count } of written) io.print(`${count} pictures in ${folder}`);
  const [train, test] = written.map(({ folder }) => folder);
  if (test !== undefined) {
    io.print(`next: stemma ${recipe.stage} --data ${train} --validation ${test} --output <folder>`);
  }
  return { files: written.map(({ folder }) => folder) };
}
