import { DataError, SettingsError } from "../core/errors.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { BadRowChoice } from "./bad-rows.ts";
import { fingerprintFiles, tokenizerFingerprint } from "./fingerprint.ts";
import type { PreparationProgress } from "./prepare-source.ts";
import { encodeSource } from "./prepare-source.ts";
import type { DataSource, SourceSetting } from "./sources.ts";
import { joinSources, resolveSources } from "./sources.ts";
import type { TokenFiles, TokenRecipe } from "./token-cache.ts";
import { buildTokenFiles, closeTokenFiles, openTokenFiles, tokenFolder } from "./token-cache.ts";
import type { TokenFile } from "./token-file.ts";

/** What {@link preparePretraining} needs. */
export interface PreparationSettings {
  /** Text to train on. */
  readonly data: readonly SourceSetting[];
  /** Text to validate on; without it, a part of `data` is held out. Weights are not used. */
  readonly validation?: readonly SourceSetting[] | undefined;
  /** Share of the text of every source that is held out, below 0.5; 0 for none. Default: 0.1, at most 16 M characters. */
  readonly validationFraction?: number | undefined;
  /** Chooses the documents held out. It is not the run's seed: runs are compared on the same text. */
  readonly splitSeed?: number | undefined;
  readonly tokenizer: Tokenizer;
  /** Whether `<|endoftext|>` and the like in the text become those tokens. Default: they stay text. */
  readonly recognizeSpecialTokens?: boolean | undefined;
  /** Column of the text in files of rows. Default: `text`. */
  readonly textColumn?: string | undefined;
  /** What is done with rows that cannot be used. Default: an error. */
  readonly badRows?: BadRowChoice | undefined;
  /** Told of rows that were left out, in a line each time. */
  readonly onNote?: ((line: string) => void) | undefined;
  /** Where token files are kept; see {@link defaultTokenCache}. */
  readonly cacheFolder: string;
  /** Where relative paths start. Default: the process's folder. */
  readonly cwd?: string | undefined;
  readonly onProgress?: ((progress: PreparationProgress) => void) | undefined;
  /** Ends the preparation between two pieces of text, with its reason as the error; nothing is left of it. */
  readonly signal?: AbortSignal | undefined;
}

/** Token files for a pretraining run, open. */
export interface PretrainingData {
  /** Text to train on, one file a source, as {@link trainingWindows} takes it. */
  readonly training: readonly { readonly file: TokenFile; readonly weight: number }[];
  /** Text to validate on, as {@link evaluationWindows} takes it. Empty when nothing is held out. */
  readonly validation: readonly TokenFile[];
  /** Whether all files were there already. */
  readonly reused: boolean;
  /** Closes the files. */
  readonly close: () => void;
}

/** Most text, in UTF-16 units, that is held out without having been asked for. */
const defaultValidationCap = 2 ** 24;

/**
 * Tokenizes text once and opens the result, or opens what an earlier call made of the same text with the same
 * tokenizer and settings. Documents are separated by the tokenizer's end-of-text token, if it has one. Text held out is
 * whole documents, or the last part of each where they are too few for that (see `planSplit`).
 *
 * All text is checked before the first of it is encoded, and an interrupted preparation leaves nothing behind that a
 * later one would use.
 *
 * @throws {FileError} when text cannot be read, or the cache folder cannot be written.
 * @throws {DataError} when text is missing, not UTF-8 or empty, or cannot be expressed in the vocabulary.
 * @throws {SettingsError} when a weight or the fraction is out of range.
 */
export async function preparePretraining(settings: PreparationSettings): Promise<PretrainingData> {
  const fraction = heldOutFraction(settings);
  const explicit = settings.validation && settings.validation.length > 0 ? settings.validation : null;
  const sources = await resolveSources(settings.data, settings.cwd);
  const held = explicit ? joinSources(await resolveSources(explicit, settings.cwd)) : null;
  const capLength = settings.validationFraction === undefined ? defaultValidationCap : null;
  const split = { fraction, capLength, seed: settings.splitSeed ?? 0 };

  const opened: { files: TokenFiles; reused: boolean }[] = [];
  const close = (): void => opened.forEach(({ files }) => void closeTokenFiles(files));
  try {
    const tokenizer = tokenizerFingerprint(settings.tokenizer);
    for (const source of sources) opened.push(await tokenFiles(source, held ? null : split, tokenizer, settings));
    const training = sources.map((source, i) => ({ file: trainingPart(opened[i]?.files), weight: source.weight }));
    if (held) opened.push(await tokenFiles(held, null, tokenizer, settings));
    const validation = held ? [opened.at(-1)?.files.all] : opened.map(({ files }) => files.validation);
    return {
      training,
      validation: validation.filter((file) => file !== undefined),
      reused: opened.every(({ reused }) => reused),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function heldOutFraction({ validation = [], validationFraction }: PreparationSettings): number {
  if (validation.length > 0 && validationFraction !== undefined) {
    throw new SettingsError("validation-fraction: there is text to validate on (--validation); give one of the two");
  }
  const fraction = validationFraction ?? 0.1;
  if (fraction >= 0 && fraction < 0.5) return fraction;
  throw new SettingsError(`validation-fraction: must be at least 0 and below 0.5, got ${fraction}`);
}

function trainingPart(files: TokenFiles | undefined): TokenFile {
  const file = files?.train ?? files?.all;
  if (!file) throw new Error("internal: a source was prepared without text to train on");
  return file;
}

async function tokenFiles(
  source: DataSource,
  split: TokenRecipe["split"],
  tokenizer: string,
  settings: PreparationSettings,
): Promise<{ files: TokenFiles; reused: boolean }> {
  const recognizeSpecialTokens = settings.recognizeSpecialTokens ?? false;
  const files = await fingerprintFiles(source.files);
  const { textColumn = "text", badRows = "error" } = settings;
  const isUsual = textColumn === "text" && badRows === "error";
  const rows = isUsual ? {} : { rows: { textColumn, badRows } };
  const recipe: TokenRecipe = { tokenizer, recognizeSpecialTokens, split, files, ...rows };
  const folder = tokenFolder(settings.cacheFolder, source.name, recipe);
  const existing = await openTokenFiles(folder, source.name, recipe);
  if (existing) return { files: existing, reused: true };
  await buildTokenFiles(folder, recipe, (pathOf) =>
    encodeSource(source, recipe, pathOf, {
      tokenizer: settings.tokenizer,
      recognizeSpecialTokens,
      onProgress: settings.onProgress ?? (() => {}),
      signal: settings.signal,
      onNote: settings.onNote ?? (() => {}),
    }),
  );
  const made = await openTokenFiles(folder, source.name, recipe);
  if (!made) throw new DataError(`${folder}: was changed while it was made; run again`);
  return { files: made, reused: false };
}
