import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageFolder } from "./package-file.ts";
import type { Recipe } from "./recipe.ts";
import { divide, shuffled } from "./recipe.ts";

/** How English words are said: the letters of a word, and its sounds. Of several ways the first. */
export const pronunciation: Recipe = {
  name: "pronunciation",
  summary: "word → its sounds (cmu-pronouncing-dictionary)",
  task: null,
  stage: "seq2seq",
  make() {
    const text = readFileSync(join(packageFolder("cmu-pronouncing-dictionary"), "index.js"), "utf8");
    const entries = [...text.matchAll(/^ {2}["']?([a-z][a-z']*)["']?: ['"]([A-Z0-2 ]+)['"],?$/gm)];
    const rows = entries.map(([, word = "", sounds = ""]) => ({ source: word, target: sounds }));
    return divide(shuffled(rows, 31), ({ source }) => source, { train: 120_000, test: 3000 });
  },
};
