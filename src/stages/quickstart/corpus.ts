import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Verse } from "../../data/recipes/verses.ts";
import { readVerses } from "../../data/recipes/verses.ts";
import { writeFileAtomic } from "../../files/atomic-write.ts";

/** Paths of a text to learn and of one that is held out from it. */
export interface Corpus {
  readonly text: string;
  readonly heldOutText: string;
}

/** Writes the King James Bible as JSONL, one document a chapter and one line a verse, with every 20th chapter apart. */
export async function writeCorpus(folder: string): Promise<Corpus> {
  await mkdir(folder, { recursive: true });
  const verses = readVerses();
  const write = async (name: string, isHeldOut: boolean): Promise<string> => {
    const chapters = chaptersOf(verses.filter((verse) => verse.isHeldOut === isHeldOut));
    const path = join(folder, name);
    await writeFileAtomic(path, chapters.map((text) => `${JSON.stringify({ text })}\n`).join(""));
    return path;
  };
  return { text: await write("kjv.jsonl", false), heldOutText: await write("kjv-held-out.jsonl", true) };
}

function chaptersOf(verses: readonly Verse[]): string[] {
  const chapters = new Map<string, string>();
  for (const { reference, text } of verses) {
    const chapter = reference.slice(0, reference.lastIndexOf(":"));
    chapters.set(chapter, `${chapters.get(chapter) ?? ""}${text}\n`);
  }
  return [...chapters.values()];
}
