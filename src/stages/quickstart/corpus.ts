import { join } from "node:path";
import { readChapters } from "../../data/recipes/verses.ts";
import { writeFileAtomic } from "../../files/atomic-write.ts";
import { makeFolder } from "../../files/make-folder.ts";

/** Paths of a text to learn and of one that is held out from it. */
export interface Corpus {
  readonly text: string;
  readonly heldOutText: string;
}

/** Writes the King James Bible as JSONL, one document a chapter and one line a verse, with every 20th chapter apart. */
export async function writeCorpus(folder: string): Promise<Corpus> {
  await makeFolder(folder);
  const write = async (name: string, isHeldOut: boolean): Promise<string> => {
    const path = join(folder, name);
    const lines = readChapters(isHeldOut).map((text) => `${JSON.stringify({ text })}\n`);
    await writeFileAtomic(path, lines.join(""));
    return path;
  };
  return { text: await write("kjv.jsonl", false), heldOutText: await write("kjv-held-out.jsonl", true) };
}
