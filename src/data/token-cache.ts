import { createHash } from "node:crypto";
import { open, readFile, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { buildFolder } from "../files/build-folder.ts";
import type { BadRowChoice } from "./bad-rows.ts";
import type { FileFingerprint } from "./fingerprint.ts";
import { identity } from "./fingerprint.ts";
import type { TokenFileInfo } from "./token-file.ts";
import { TokenFile } from "./token-file.ts";

/** The parts of a prepared source: the two sides of a split, or all of it undivided. */
export type TokenPart = "train" | "validation" | "all";

/** Everything that decides which tokens come out. */
export interface TokenRecipe {
  /** Fingerprint of the tokenizer. */
  readonly tokenizer: string;
  readonly recognizeSpecialTokens: boolean;
  /** How the source is divided; null for not at all. */
  readonly split: { readonly fraction: number; readonly capLength: number | null; readonly seed: number } | null;
  readonly files: readonly FileFingerprint[];
  /** How files of rows are read; absent where nothing is said, as `text` with bad rows refused. */
  readonly rows?: { readonly textColumn: string; readonly badRows: BadRowChoice } | undefined;
}

/** Token files of one source, open. */
export type TokenFiles = Partial<Record<TokenPart, TokenFile>>;

/** Changes whenever the same recipe would give other files. */
const format = 1;
const descriptionFile = "tokens.json";

const Count = z.int().nonnegative();
const Size = z.object({ characters: Count, bytes: Count });
const Info = Size.extend({
  tokens: Count,
  documents: Count,
  dtype: z.enum(["uint16", "uint32"]),
  endOfText: Count.nullable(),
  vocabularySize: Count,
  firstToken: Size,
});
const Description = z.object({
  format: z.literal(format),
  key: z.string(),
  parts: z.partialRecord(z.enum(["train", "validation", "all"]), Info),
});

/**
 * Where the token files of a run are kept unless the user names a place: `.stemma/tokens` beside the run's folder, so
 * that runs beside each other share them. Everything in it may be deleted; it is then made again.
 */
export function defaultTokenCache(output: string): string {
  return join(dirname(resolve(output)), ".stemma", "tokens");
}

/**
 * The folder of a recipe in a cache, `<name>-<key>`. The key is a hash of the whole recipe, so that another tokenizer,
 * split or text has another folder and never finds files that are not its own.
 */
export function tokenFolder(cacheFolder: string, name: string, recipe: TokenRecipe): string {
  const readable = name.replaceAll(/[^A-Za-z0-9._-]+/g, "-").replace(/^[.-]+/, "");
  return join(cacheFolder, `${readable.slice(0, 40) || "text"}-${recipeKey(recipe)}`);
}

/** The files of a recipe, or null when they are not there, incomplete or damaged. */
export async function openTokenFiles(folder: string, name: string, recipe: TokenRecipe): Promise<TokenFiles | null> {
  const opened: TokenFiles = {};
  try {
    const description = Description.parse(JSON.parse(await readFile(join(folder, descriptionFile), "utf8")));
    if (description.key !== recipeKey(recipe)) return null;
    for (const part of partsOf(recipe)) {
      const info = description.parts[part];
      if (!info) throw new Error("a part is not described");
      opened[part] = new TokenFile(name, partPath(folder, part), info);
    }
    return opened;
  } catch {
    // Whatever is wrong with it, a cache is remedied by making it again.
    closeTokenFiles(opened);
    return null;
  }
}

/** Makes the files of a recipe: `fill` writes `<part>.bin` for each part and says what they hold. */
export async function buildTokenFiles(
  folder: string,
  recipe: TokenRecipe,
  fill: (pathOf: (part: TokenPart) => string) => Promise<Partial<Record<TokenPart, TokenFileInfo>>>,
): Promise<void> {
  await buildFolder(folder, async (unfinished) => {
    await rm(folder, { recursive: true, force: true }); // there only if damaged
    const parts = await fill((part) => partPath(unfinished, part));
    const { files, ...rest } = recipe;
    const description = { format, key: recipeKey(recipe), ...rest, parts, files };
    const file = await open(join(unfinished, descriptionFile), "wx");
    try {
      await file.writeFile(`${JSON.stringify(description, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  });
}

/** The parts that a recipe has. */
export function partsOf(recipe: TokenRecipe): TokenPart[] {
  if (recipe.split === null) return ["all"];
  return recipe.split.fraction === 0 ? ["train"] : ["train", "validation"];
}

/** Closes every file. */
export function closeTokenFiles(files: TokenFiles): void {
  for (const file of Object.values(files)) file.close();
}

function partPath(folder: string, part: TokenPart): string {
  return join(folder, `${part}.bin`);
}

function recipeKey(recipe: TokenRecipe): string {
  const contents = JSON.stringify([format, { ...recipe, files: recipe.files.map(identity) }]);
  return createHash("sha256").update(contents).digest("hex").slice(0, 16);
}
