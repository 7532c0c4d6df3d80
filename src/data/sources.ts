import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { glob, isDynamicPattern } from "tinyglobby";
import { DataError, SettingsError } from "../core/errors.ts";
import { fileError, systemCode } from "../files/file-error.ts";

/**
 * Where text comes from: a file, a folder or a glob, with an optional weight. As a string, `path` or `path=WEIGHT`;
 * a file whose own name looks like that is taken as it is.
 */
export type SourceSetting = string | { readonly path: string; readonly weight?: number | undefined };

/** Files that are read one after the other and trained on with one weight. */
export interface DataSource {
  /** What messages and token files call it. */
  readonly name: string;
  /** Share of the training windows drawn from it, relative to those of the other sources. */
  readonly weight: number;
  /** Absolute paths, in reading order. */
  readonly files: readonly string[];
}

interface Located {
  readonly path: string;
  readonly weight: number | null;
}

/** Endings of the files that a folder gives; any other file can be named itself or by a glob. */
const textEndings = ["txt", "text", "md", "markdown", "rst", "tex", "adoc", "org", "jsonl", "ndjson"];

/**
 * Finds the files of `settings`. Sources without weights are one source together, in which every text is read equally
 * often; with weights each is its own. A folder gives the text files in it and below, in order of their names.
 * Empty files are an error when named, and are left out of folders and globs.
 *
 * @throws {DataError} when a path does not exist or is no regular file, a glob matches nothing, a folder has no text
 * files, or everything is empty.
 * @throws {SettingsError} when there are no sources, a weight is not a positive number, or only some have a weight.
 */
export async function resolveSources(settings: readonly SourceSetting[], cwd = process.cwd()): Promise<DataSource[]> {
  if (settings.length === 0) throw new SettingsError("data: no source is given; name a text file, folder or glob");
  const located = await Promise.all(settings.map((setting) => parseSetting(setting, cwd)));
  const weighted = located.filter(({ weight }) => weight !== null);
  const unweighted = located.find(({ weight }) => weight === null);
  if (unweighted && weighted.length > 0) {
    throw new SettingsError(
      `data: ${weighted[0]?.path} has a weight and ${unweighted.path} has none; give one to every source or to none`,
    );
  }
  const sources: DataSource[] = [];
  for (const { path, weight } of located) {
    sources.push({ name: sourceName(path), weight: weight ?? 1, files: await filesOf(path, cwd) });
  }
  return unweighted ? [joinSources(sources)] : sources;
}

/** Several sources as one, every file once. */
export function joinSources(sources: readonly DataSource[]): DataSource {
  const names = sources.map(({ name }) => name);
  const name = names.length > 1 ? `${names[0]} and ${names.length - 1} more` : (names[0] ?? "");
  return { name, weight: 1, files: [...new Set(sources.flatMap(({ files }) => files))] };
}

/**
 * Paths of rows with each glob replaced by the files it finds, in order of their names. Whatever else is given stays as
 * it is, for its reader to complain about.
 *
 * @throws {DataError} when a glob matches nothing, or only empty files.
 */
export async function expandGlobs(paths: readonly string[], cwd = process.cwd()): Promise<string[]> {
  const expanded = paths.map(async (path) => {
    const isGlob = isDynamicPattern(path) && !(await statOrNull(resolve(cwd, path)));
    return isGlob ? filesOf(path, cwd) : [path];
  });
  return [...new Set((await Promise.all(expanded)).flat())];
}

async function parseSetting(setting: SourceSetting, cwd: string): Promise<Located> {
  if (typeof setting !== "string") {
    return {
      path: setting.path,
      weight: setting.weight === undefined ? null : checkWeight(setting.path, setting.weight),
    };
  }
  const split = /^(.+)=([^=/\\]*)$/.exec(setting);
  if (!split || (await statOrNull(resolve(cwd, setting)))) return { path: setting, weight: null };
  const [, path = "", text = ""] = split;
  return { path, weight: checkWeight(path, text.trim() === "" ? Number.NaN : Number(text), text) };
}

function checkWeight(path: string, weight: number, text = String(weight)): number {
  if (Number.isFinite(weight) && weight > 0) return weight;
  throw new SettingsError(`data: the weight of ${path} must be a positive number, got "${text}" (path=WEIGHT)`);
}

async function filesOf(path: string, cwd: string): Promise<string[]> {
  const absolute = resolve(cwd, path);
  const stats = await statOrNull(absolute);
  if (stats?.isDirectory()) {
    const pattern = `**/*.{${textEndings.join(",")}}{,.gz}`;
    const found = await glob(pattern, { cwd: absolute, absolute: true, caseSensitiveMatch: false });
    if (found.length > 0) return withText(path, found);
    throw new DataError(
      `${path}: the folder has no text files (${textEndings.map((e) => `.${e}`).join(" ")}, or .gz of them); ` +
        `for others give a glob, such as "${path.replace(/[/\\]$/, "")}/**/*.html"`,
    );
  }
  if (stats) return [checkFile(path, absolute, stats)];
  // Backslashes are the separators of Windows, and an escape elsewhere.
  const pattern = process.platform === "win32" ? path.replaceAll("\\", "/") : path;
  if (!isDynamicPattern(pattern)) throw new DataError(`${path}: does not exist; check the path (looked in ${cwd})`);
  const found = await glob(pattern, { cwd, absolute: true, expandDirectories: false });
  if (found.length === 0) throw new DataError(`${path}: no file matches this glob; check it (looked in ${cwd})`);
  return withText(path, found);
}

function checkFile(path: string, absolute: string, stats: Stats): string {
  if (!stats.isFile()) throw new DataError(`${path}: is not a regular file; write its contents to a file first`);
  if (stats.size === 0) throw new DataError(`${path}: the file is empty; give one with text in it`);
  return absolute;
}

/** The files that are not empty, in an order that does not depend on the file system. */
async function withText(path: string, found: readonly string[]): Promise<string[]> {
  const sizes = await Promise.all(found.map(async (file) => (await statOrNull(file))?.size ?? 0));
  const files = found.filter((_, index) => (sizes[index] ?? 0) > 0).map((file) => resolve(file));
  if (files.length === 0) throw new DataError(`${path}: all ${found.length} files it finds are empty; check the path`);
  return files.sort();
}

function sourceName(path: string): string {
  return isDynamicPattern(path) ? path : basename(path) || path;
}

async function statOrNull(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error) {
    const code = systemCode(error);
    // A name too long for a file can still be a glob.
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ENAMETOOLONG") return null;
    throw fileError(path, "read", error);
  }
}
