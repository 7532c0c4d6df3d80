import type { Recipe, RecipeRows } from "./recipe.ts";
import { choiceRow, groupBy, oneOf, readerOf, shuffled } from "./recipe.ts";
import type { Verse } from "./verses.ts";
import { readVerses } from "./verses.ts";

/** Which of four verses comes next; the others are from the same book. Tests are from chapters that no model reads. */
export const nextVerse: Recipe = {
  name: "next-verse",
  summary: "verse → which of 4 verses comes next (kjv)",
  task: "multiple-choice",
  make() {
    const reader = readerOf(11);
    const verses = readVerses();
    const rows = (isHeldOut: boolean): ReturnType<typeof choiceRow>[] => {
      const own = verses.filter((verse) => verse.isHeldOut === isHeldOut);
      const books = groupBy(own, bookOf);
      return own.flatMap((verse, i) => {
        const next = own[i + 1];
        if (!next || chapterOf(next) !== chapterOf(verse)) return [];
        const book = books.get(bookOf(verse)) ?? own;
        const pool = book.length > 20 ? book : own; // letters of one chapter have too few
        return [choiceRow(verse.text, next.text, () => oneOf(pool, reader).text, reader)];
      });
    };
    return parts(rows(false), rows(true), ({ context }: { context: string }) => context, 12);
  },
};

/** Whether the second part of a verse is its own, or that of another verse of the same book. */
export const verseHalves: Recipe = {
  name: "verse-halves",
  summary: "first part of a verse, and a second → whether it follows (kjv)",
  task: "entailment",
  make() {
    const reader = readerOf(17);
    const verses = readVerses();
    const rows = (isHeldOut: boolean): object[] => {
      const own = verses.filter((verse) => verse.isHeldOut === isHeldOut).flatMap(halvesOf);
      const books = groupBy(own, ({ verse }) => bookOf(verse));
      return own.map(({ verse, first, second }, i) => {
        const book = books.get(bookOf(verse)) ?? [];
        const others = book.length > 20 ? book : own;
        const isOwn = i % 2 === 0;
        return {
          premise: first,
          hypothesis: isOwn ? second : another(second, () => oneOf(others, reader).second),
          label: isOwn ? "follows" : "does not follow",
        };
      });
    };
    return parts(rows(false), rows(true), ({ premise }: { premise: string }) => premise, 18);
  },
};

/** Whether two verses are from one chapter, or from two books. */
export const versePairs: Recipe = {
  name: "verse-pairs",
  summary: "two verses → whether they are from one chapter (kjv)",
  task: "similarity",
  make() {
    const reader = readerOf(19);
    const verses = readVerses();
    const rows = (isHeldOut: boolean): object[] => {
      const own = verses.filter((verse) => verse.isHeldOut === isHeldOut);
      const chapters = groupBy(own, chapterOf);
      return own.map((verse, i) => {
        const isOne = i % 2 === 0;
        const pool = isOne ? (chapters.get(chapterOf(verse)) ?? own) : own;
        const isFit = (other: Verse): boolean => (isOne ? other.text !== verse.text : bookOf(other) !== bookOf(verse));
        let second = oneOf(pool, reader);
        while (!isFit(second)) second = oneOf(pool, reader);
        return { first: verse.text, second: second.text, label: isOne ? "one chapter" : "two books" };
      });
    };
    return parts(rows(false), rows(true), ({ first }: { first: string }) => first, 20);
  },
};

/** Rows to learn from and rows of chapters that no model reads; some verses come twice, and are in one of them only. */
function parts<Row extends object>(
  train: readonly object[],
  heldOut: readonly object[],
  textOf: (row: Row) => string,
  seed: number,
): RecipeRows {
  const read = new Set(train.map((row) => textOf(row as Row)));
  const test = heldOut.filter((row) => !read.has(textOf(row as Row)));
  return { train: shuffled(train, seed).slice(0, 12_000), test: shuffled(test, seed + 1).slice(0, 1000) };
}

function another(right: string, draw: () => string): string {
  for (;;) {
    const other = draw();
    if (other !== right) return other;
  }
}

/** A verse cut behind the mark that is nearest to its middle; nothing where neither part would have three words. */
function halvesOf(verse: Verse): { verse: Verse; first: string; second: string }[] {
  const { text } = verse;
  const marks = [...text.matchAll(/[,;:] /g)].map(({ index }) => index + 1);
  const [at] = marks.sort((a, b) => Math.abs(a - text.length / 2) - Math.abs(b - text.length / 2));
  if (at === undefined) return [];
  const [first, second] = [text.slice(0, at), text.slice(at + 1)];
  return [first, second].every((part) => part.split(" ").length >= 3) ? [{ verse, first, second }] : [];
}

function chapterOf({ reference }: Verse): string {
  return reference.slice(0, reference.lastIndexOf(":"));
}

function bookOf({ reference }: Verse): string {
  return reference.slice(0, reference.lastIndexOf(" "));
}
